//! Answer of Get Chat Widget Configuration: one plausible widget.

use crate::api::types::WidgetConfiguration;
use serde_json::json;

/// The widget of the simulated center.
pub(super) fn configuration() -> WidgetConfiguration {
    let font = json!({"family": "Helvetica", "size": "14px", "style": "normal", "weight": "bold"});
    let definition = json!({
        "widgets": [{
            "name": "chatphone",
            "urls": ["https://www.example.com/*"],
            "definition": {
                "contact_tab": {
                    "enabled": true,
                    "location": "right_bottom",
                    "color": "#ffffff",
                    "bg_color": "#2f6f8f",
                    "font": font,
                    "agents_available_msg": "Chat with us",
                    "agents_not_available_msg": "All agents are busy",
                    "out_of_hours_msg": "We are closed",
                    "show_ewt_out_of_hours": false
                },
                "styles": {
                    "style1": {
                        "contentMargin": {"margin": "8px"},
                        "titleFont": {"font-size": "16px", "font-weight": "bold"},
                        "contactTabFont": {"font-size": "14px"},
                        "systemMessage": {"color": "#777777"},
                        "agentMessage": {"color": "#2f6f8f"},
                        "widgetBorder": {"border": "1px solid #2f6f8f"},
                        "contactTabBorder": {"border-radius": "4px"},
                        "widgetBackground": {"background-color": "#ffffff"},
                        "baseFont": {"font-family": "Helvetica, sans-serif"},
                        "dialogShadow": {"box-shadow": "0 2px 8px rgba(0,0,0,0.3)"}
                    }
                }
            }
        }]
    });
    serde_json::from_value(definition).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widget_has_a_contact_tab_and_all_styles() {
        let configuration = configuration();
        let [widget] = &configuration.widgets[..] else { panic!("{configuration:?}") };
        assert!(widget.definition.contact_tab.as_ref().is_some_and(|tab| tab.enabled));
        assert_eq!(widget.definition.styles["style1"].as_object().map(|s| s.len()), Some(10));
    }
}
