//! `availability`, `parameters`, `ice-servers`, `configuration`: one question to the contact center each.

use super::connection::ConnectionArgs;
use super::output::print;
use crate::api::Client;
use crate::api::types::{Availability, ExpectedParameters, IceServers, WidgetConfiguration, one_line};
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::process::ExitCode;

/// Flags of the commands that ask one thing.
#[derive(Debug, Clone, Args)]
pub struct QueryArgs {
    /// Print the answer as one line of JSON, with every field the server sent
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: ConnectionArgs,
}

impl QueryArgs {
    fn client(self) -> anyhow::Result<(Client, bool)> {
        Ok((Client::new(self.connection.resolve()?.client)?, self.json))
    }
}

/// Prints whether the contact center is open. Exit code 0 when it is, 1 when it is closed.
pub async fn availability(args: QueryArgs) -> anyhow::Result<ExitCode> {
    let (client, json) = args.client()?;
    let answer = client.availability().await?;
    show(&answer, json, availability_text)?;
    Ok(if answer.is_open() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the parameters that a chat request may carry.
pub async fn parameters(args: QueryArgs) -> anyhow::Result<ExitCode> {
    let (client, json) = args.client()?;
    show(&client.expected_parameters().await?, json, parameters_text)
}

/// Prints the STUN and TURN servers for calls.
pub async fn ice_servers(args: QueryArgs) -> anyhow::Result<ExitCode> {
    let (client, json) = args.client()?;
    show(&client.ice_servers().await?, json, ice_servers_text)
}

/// Prints the configuration of the chat widgets.
pub async fn configuration(args: QueryArgs) -> anyhow::Result<ExitCode> {
    let (client, json) = args.client()?;
    show(&client.widget_configuration().await?, json, configuration_text)
}

fn show<T: Serialize>(answer: &T, json: bool, text: impl Fn(&T) -> String) -> anyhow::Result<ExitCode> {
    print(&if json { serde_json::to_string(answer)? } else { text(answer) })?;
    Ok(ExitCode::SUCCESS)
}

fn availability_text(answer: &Availability) -> String {
    match (answer.is_open(), answer.ewt_s()) {
        (true, Some(wait)) => format!("open, expected wait {wait} s"),
        (true, None) => "open".into(),
        (false, _) => format!("closed ({})", one_line(&answer.chat)),
    }
}

fn parameters_text(answer: &ExpectedParameters) -> String {
    if answer.parameters.is_empty() {
        return "no parameters are expected".into();
    }
    let width = answer.parameters.iter().map(|(name, _)| one_line(name).chars().count()).max().unwrap_or(0);
    lines(
        answer.parameters.iter().map(|(name, kind)| format!("{:width$}  {}", one_line(name), one_line(kind.as_str()))),
    )
}

fn ice_servers_text(answer: &IceServers) -> String {
    if answer.servers.is_empty() {
        return "no ICE servers".into();
    }
    lines(answer.servers.iter().map(|server| {
        let mut line = one_line(&server.urls.join(" "));
        if let Some(username) = &server.username {
            let _ = write!(line, "  user {}", one_line(username));
        }
        if server.credential.is_some() {
            line.push_str("  credential ******");
        }
        line
    }))
}

fn configuration_text(answer: &WidgetConfiguration) -> String {
    if answer.widgets.is_empty() {
        return "no chat widgets".into();
    }
    lines(answer.widgets.iter().map(|widget| {
        let mut text = one_line(&widget.name);
        for url in &widget.urls {
            let _ = write!(text, "\n  page          {}", one_line(url));
        }
        if let Some(tab) = &widget.definition.contact_tab {
            let place = if tab.enabled { one_line(&tab.location) } else { "disabled".into() };
            let _ = write!(text, "\n  contact tab   {place}");
            for (when, message) in [
                ("open", &tab.agents_available_msg),
                ("no agents", &tab.agents_not_available_msg),
                ("closed", &tab.out_of_hours_msg),
            ] {
                if !message.is_empty() {
                    let _ = write!(text, "\n  {when:<12}  {}", one_line(message));
                }
            }
        }
        let styles: Vec<_> = widget.definition.styles.keys().map(|name| one_line(name)).collect();
        if !styles.is_empty() {
            let _ = write!(text, "\n  styles        {}", styles.join(", "));
        }
        text
    }))
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_credential_is_masked_for_people() {
        let answer = json!({"servers": [{"url": "turn:a.example", "username": "u", "credential": "hush"}]});
        let text = ice_servers_text(&serde_json::from_value(answer).unwrap());
        assert_eq!(text, "turn:a.example  user u  credential ******");
    }

    #[test]
    fn closed_is_said_in_the_servers_word() {
        let text = |v| availability_text(&serde_json::from_value(v).unwrap());
        assert_eq!(text(json!({"chat": "unavailable", "ewt": "5"})), "closed (unavailable)");
        assert_eq!(text(json!({"chat": "available", "ewt": "5"})), "open, expected wait 5 s");
    }

    #[test]
    fn parameters_stand_in_columns() {
        let answer = json!({"parameters": [{"email": "EMAIL"}, {"a": "TEXT\u{1b}"}]});
        assert_eq!(parameters_text(&serde_json::from_value(answer).unwrap()), "email  EMAIL\na      TEXT");
    }

    #[test]
    fn a_widget_is_summed_up() {
        let answer = json!({"widgets": [{"name": "Support", "urls": ["https://a"], "definition": {
            "contact_tab": {"enabled": true, "location": "right_bottom", "agents_available_msg": "Chat"},
            "styles": {"style1": {}}}}]});
        let text = configuration_text(&serde_json::from_value(answer).unwrap());
        assert_eq!(
            text,
            "Support\n  page          https://a\n  contact tab   right_bottom\n  open          Chat\n  styles        style1"
        );
    }
}
