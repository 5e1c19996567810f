//! The configuration of the chat widgets on a contact center's web pages.

use super::lenient::{self, Extra};
use serde::{Deserialize, Serialize};

/// Answer of Get Chat Widget Configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WidgetConfiguration {
    /// The widgets.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub widgets: Vec<Widget>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One chat widget. Its definition is a tree of texts, colours and CSS properties, kept as it came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Widget {
    /// Its name.
    #[serde(default, deserialize_with = "lenient::string")]
    pub name: String,
    /// The pages it is for.
    #[serde(default, deserialize_with = "lenient::strings")]
    pub urls: Vec<String>,
    /// `contact_tab`, `styles` and whatever else the server defines.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub definition: WidgetDefinition,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a widget looks like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WidgetDefinition {
    /// The tab that opens the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_tab: Option<ContactTab>,
    /// CSS properties by element, by style name (`style1`).
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub styles: Extra,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The tab that opens the chat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ContactTab {
    /// Whether it is shown.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub enabled: bool,
    /// Where: `right_bottom` and the like.
    #[serde(default, deserialize_with = "lenient::string")]
    pub location: String,
    /// CSS colour of the text.
    #[serde(default, deserialize_with = "lenient::string")]
    pub color: String,
    /// CSS colour behind it.
    #[serde(default, deserialize_with = "lenient::string")]
    pub bg_color: String,
    /// `family`, `size`, `style`, `weight`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub font: Extra,
    /// Shown while agents are available.
    #[serde(default, deserialize_with = "lenient::string")]
    pub agents_available_msg: String,
    /// Shown while none is.
    #[serde(default, deserialize_with = "lenient::string")]
    pub agents_not_available_msg: String,
    /// Shown outside the hours of operation.
    #[serde(default, deserialize_with = "lenient::string")]
    pub out_of_hours_msg: String,
    /// Whether to show the expected wait outside the hours.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub show_ewt_out_of_hours: bool,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
