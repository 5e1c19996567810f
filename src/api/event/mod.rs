//! The events of a chat session, in both directions.

pub mod client;
pub mod server;

pub use client::*;
pub use server::*;

use std::fmt;

/// Form data is the customer's own: its field names may be shown, its values never.
macro_rules! redacted_debug {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("form_request_id", &self.form_request_id)
                    .field("form_name", &self.form_name)
                    .field("fields", &self.data.len())
                    .finish_non_exhaustive()
            }
        }
    )+};
}
redacted_debug!(FormData, SecureFormData);

impl ServerMessage {
    /// The text to show: the plain twin where the server sent one, otherwise the message with markup taken out.
    pub fn plain_text(&self) -> String {
        match [&self.message_text, &self.msg_text].into_iter().flatten().find(|text| !text.is_empty()) {
            Some(text) => text.clone(),
            None => crate::api::types::strip_markup(&self.msg),
        }
    }
}
