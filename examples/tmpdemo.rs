use clap::Parser;
#[derive(Parser)]
struct A {
    #[command(flatten)]
    d: chatphone::cli::demo::DemoArgs,
}
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    chatphone::cli::demo::run(A::parse().d).await?;
    Ok(())
}
