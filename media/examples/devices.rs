//! Lists the devices of this machine: `cargo run -p chatphone-media --example devices`

fn main() {
    for host in chatphone_media::audio::device::list().hosts {
        println!("{}{}", host.name, if host.default { " (default)" } else { "" });
        if let Some(error) = host.error {
            println!("  {error}");
        }
        for device in host.devices {
            let default = if device.default { ", default" } else { "" };
            println!(
                "  {}: {} ({}{default}), {} formats",
                device.direction,
                device.name,
                device.id,
                device.formats.len()
            );
        }
    }
}
