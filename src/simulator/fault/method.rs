//! The methods of the API, as the simulator serves them.

/// Defines the methods of the API once: name on the command line, HTTP method, path below the API.
macro_rules! methods {
    ($($(#[$meta:meta])* $variant:ident = $name:literal, $verb:literal, $path:literal;)+) => {
        /// A method of the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ApiMethod { $($(#[$meta])* $variant,)+ }

        impl ApiMethod {
            /// All methods.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name used on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The route below the API's path.
            pub(in crate::simulator) const fn path(self) -> &'static str {
                match self { $(Self::$variant => $path,)+ }
            }

            /// The method of a request, by its verb and route.
            pub(in crate::simulator) fn of(verb: &str, route: &str) -> Option<Self> {
                match (verb, route) { $(($verb, $path) => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

methods! {
    /// Check Availability.
    Availability = "availability", "GET", "/availability";
    /// Expected Parameters.
    Parameters = "parameters", "GET", "/parameters";
    /// Request Chat.
    RequestChat = "request-chat", "POST", "/chats";
    /// Get Active Chat.
    ActiveChat = "active-chat", "GET", "/chats/active";
    /// Send Events.
    SendEvents = "send-events", "POST", "/chats/{chat_id}/events";
    /// Get Chat History.
    History = "history", "GET", "/chats/{chat_id}/history";
    /// Get New Chat Events, the long poll.
    Poll = "poll", "GET", "/chats/{chat_id}/events";
    /// Upload File.
    Upload = "upload", "POST", "/files";
    /// Get File.
    File = "file", "GET", "/chats/{chat_id}/files/{file_id}";
    /// Get Agent Profile Photo.
    Photo = "photo", "GET", "/chats/{chat_id}/profilephotos/{party_id}";
    /// Get ICE servers.
    IceServers = "ice-servers", "GET", "/iceservers";
    /// Get Chat Widget Configuration.
    Configuration = "configuration", "GET", "/configuration";
}

impl std::str::FromStr for ApiMethod {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|m| m.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|m| m.name()).collect();
            format!("`{name}` is none of {}", names.join(", "))
        })
    }
}
