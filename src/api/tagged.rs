//! The macro behind the event and signaling enums: a tag names the variant, the rest is its body, and what does not fit
//! is kept raw as `Unknown`.

use super::lenient::Extra;
use serde::Serialize;
use serde_json::Value;

/// Defines an enum of JSON objects told apart by one tag field.
///
/// Every variant holds a struct with its fields. An object whose tag is unknown, or whose body does not fit its tag, is
/// kept whole in `Unknown`, so that reading never fails on an object and writing gives back what came. A known field
/// whose value cannot be read is kept among the `extra` ones.
macro_rules! tagged_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident by $tag:literal {
            $( $(#[$vmeta:meta])* $variant:ident($body:ty) = $wire:literal $(| $alias:literal)* , )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq)]
        pub enum $name {
            $( $(#[$vmeta])* $variant($body), )+
            /// Something this version does not know, as it came.
            Unknown(serde_json::Map<String, serde_json::Value>),
        }

        impl $name {
            /// The name on the wire; for an unknown one what the peer wrote, or the empty string.
            pub fn name(&self) -> &str {
                match self {
                    $( Self::$variant(_) => $wire, )+
                    Self::Unknown(raw) => raw.get($tag).and_then(|v| v.as_str()).unwrap_or_default(),
                }
            }

            /// Every name on the wire that this version knows, without second spellings.
            pub const NAMES: &'static [&'static str] = &[$($wire),+];

            fn from_object(raw: serde_json::Map<String, serde_json::Value>) -> Self {
                let Some(name) = raw.get($tag).and_then(|v| v.as_str()) else {
                    return Self::Unknown(raw);
                };
                let parsed = match name {
                    $( $wire $(| $alias)* => {
                        let mut fields = raw.clone();
                        fields.shift_remove($tag);
                        let body = serde_json::from_value::<$body>(serde_json::Value::Object(fields)).ok();
                        body.map(|mut body| {
                            let unread = $crate::api::tagged::unread($tag, &raw, &body);
                            body.extra.extend(unread);
                            Self::$variant(body)
                        })
                    } )+
                    _ => None,
                };
                parsed.unwrap_or(Self::Unknown(raw))
            }
        }

        // What is unknown may be anything, a form's data too: its names may be shown, its values never.
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $( Self::$variant(body) => body.fmt(f), )+
                    Self::Unknown(raw) => write!(f, "Unknown({:?}, {:?})", self.name(), raw.keys().collect::<Vec<_>>()),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                #[derive(serde::Serialize)]
                struct Tagged<'a, T> {
                    #[serde(rename = $tag)]
                    tag: &'static str,
                    #[serde(flatten)]
                    body: &'a T,
                }
                match self {
                    $( Self::$variant(body) => Tagged { tag: $wire, body }.serialize(serializer), )+
                    Self::Unknown(raw) => raw.serialize(serializer),
                }
            }
        }

        $( impl From<$body> for $name {
            fn from(body: $body) -> Self {
                Self::$variant(body)
            }
        } )+
    };
}
pub(crate) use tagged_enum;

/// The fields of an object that its parsed form would not write out again.
pub(crate) fn unread(tag: &str, raw: &Extra, parsed: &impl Serialize) -> Extra {
    let written = match serde_json::to_value(parsed) {
        Ok(Value::Object(fields)) => fields,
        _ => Extra::new(),
    };
    let lost = raw.iter().filter(|(name, _)| *name != tag && !written.contains_key(*name));
    lost.map(|(name, value)| (name.clone(), value.clone())).collect()
}
