//! The macro behind the event and signaling enums: a tag names the variant, the rest is its body, and what does not fit
//! is kept raw as `Unknown`.

/// Defines an enum of JSON objects told apart by one tag field.
///
/// Every variant holds a struct with its fields. An object whose tag is unknown, or whose body does not fit its tag, is
/// kept whole in `Unknown`, so that reading never fails on an object and writing gives back what came.
macro_rules! tagged_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident by $tag:literal {
            $( $(#[$vmeta:meta])* $variant:ident($body:ty) = $wire:literal $(| $alias:literal)* , )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
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
                        let mut body = raw.clone();
                        body.remove($tag);
                        serde_json::from_value::<$body>(serde_json::Value::Object(body)).ok().map(Self::$variant)
                    } )+
                    _ => None,
                };
                parsed.unwrap_or(Self::Unknown(raw))
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
