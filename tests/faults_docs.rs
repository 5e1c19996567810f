//! The documentation lists every fault and quirk. `CHATPHONE_WRITE_DOCS=1` writes the tables anew.
#![allow(clippy::unwrap_used)]

use chatphone::simulator::{FAULT_KINDS, Quirk};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/simulator.md");

/// The part between two marks is this table.
fn check(name: &str, table: &str) {
    let text = std::fs::read_to_string(FILE).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap();
    let (written, after) = rest.split_once(&end).unwrap();
    let table = format!("\n{table}\n");
    if std::env::var_os("CHATPHONE_WRITE_DOCS").is_some() {
        std::fs::write(FILE, format!("{before}{begin}{table}{end}{after}")).unwrap();
    } else {
        assert_eq!(
            written, table,
            "write docs/simulator.md anew: CHATPHONE_WRITE_DOCS=1 cargo test --test faults_docs"
        );
    }
}

#[test]
fn the_documentation_lists_every_fault_and_quirk() {
    let mut faults = "| on | kind | for example | what happens |\n|---|---|---|---|\n".to_owned();
    for kind in FAULT_KINDS {
        let on = if kind.on == "METHOD" { "METHOD".to_owned() } else { format!("`{}`", kind.on) };
        let form = if kind.form == "CODE" { "CODE".to_owned() } else { format!("`{}`", kind.form) };
        faults += &format!("| {on} | {form} | `{}` | {} |\n", kind.example, kind.does);
    }
    check("faults", &faults);
    let mut quirks = "| quirk | what it changes |\n|---|---|\n".to_owned();
    for quirk in Quirk::ALL {
        quirks += &format!("| `{}` | {} |\n", quirk.name(), quirk.does());
    }
    check("quirks", &quirks);
}
