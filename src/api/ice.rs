//! The STUN and TURN servers of a call, as Get ICE servers answers them.

use super::lenient::Extra;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Answer of Get ICE servers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IceServers {
    /// STUN and TURN servers; may be empty or missing.
    #[serde(default, deserialize_with = "server_list")]
    pub servers: Vec<IceServer>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One entry of [`IceServers`].
///
/// Read from `url` or `urls` (or both), a string or a list. Written as the API publishes it, one `url`; several as
/// the list `urls` of the W3C `RTCIceServer`.
#[derive(Clone, Default, PartialEq)]
pub struct IceServer {
    /// `stun:`, `turn:` or `turns:` addresses (RFC 7064, RFC 7065).
    pub urls: Vec<String>,
    /// TURN user name.
    pub username: Option<String>,
    /// TURN password.
    pub credential: Option<String>,
    /// Fields this version does not know.
    pub extra: Extra,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceServer")
            .field("urls", &self.urls)
            .field("username", &self.username.as_ref().map(|_| "…"))
            .field("credential", &self.credential.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

impl Serialize for IceServer {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        match self.urls.as_slice() {
            [] => (),
            [one] => map.serialize_entry("url", one)?,
            many => map.serialize_entry("urls", many)?,
        }
        if let Some(username) = &self.username {
            map.serialize_entry("username", username)?;
        }
        if let Some(credential) = &self.credential {
            map.serialize_entry("credential", credential)?;
        }
        for (name, value) in &self.extra {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for IceServer {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self::from_object(Extra::deserialize(d)?))
    }
}

impl IceServer {
    fn from_object(mut object: Extra) -> Self {
        let mut urls = Vec::new();
        for name in ["url", "urls"] {
            let found = match object.shift_remove(name) {
                Some(Value::Array(list)) => list,
                Some(one) => vec![one],
                None => continue,
            };
            for url in found {
                match url {
                    Value::String(url) if !url.trim().is_empty() && !urls.contains(&url) => urls.push(url),
                    _ => (),
                }
            }
        }
        Self {
            urls,
            username: text(&mut object, "username"),
            credential: text(&mut object, "credential"),
            extra: object,
        }
    }
}

/// Takes a text out of an object; what is no text stays there.
fn text(object: &mut Extra, name: &str) -> Option<String> {
    let text = match object.get(name)? {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Null => None,
        _ => return None,
    };
    object.shift_remove(name);
    text
}

/// Reads the list and passes over entries that name no server, rather than lose the others for them.
fn server_list<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<IceServer>, D::Error> {
    let list = match Value::deserialize(d)? {
        Value::Array(list) => list,
        Value::Null => Vec::new(),
        one => vec![one],
    };
    Ok(list
        .into_iter()
        .filter_map(|entry| match entry {
            Value::Object(object) => Some(IceServer::from_object(object)),
            Value::String(url) => Some(IceServer { urls: vec![url], ..Default::default() }),
            _ => None,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn read(v: Value) -> Vec<IceServer> {
        serde_json::from_value::<IceServers>(v).unwrap().servers
    }

    #[test]
    fn ice_servers_come_as_url_urls_list_or_both() {
        assert_eq!(read(json!({"servers": [{"url": "stun:a"}]}))[0].urls, ["stun:a"]);
        assert_eq!(read(json!({"servers": [{"urls": "stun:a"}]}))[0].urls, ["stun:a"]);
        assert_eq!(read(json!({"servers": [{"urls": ["stun:a", "turn:b"]}]}))[0].urls, ["stun:a", "turn:b"]);
        assert_eq!(
            read(json!({"servers": [{"url": "stun:a", "urls": ["stun:a", "turn:b"]}]}))[0].urls,
            ["stun:a", "turn:b"]
        );
    }

    #[test]
    fn the_list_may_be_empty_null_or_missing() {
        for v in [json!({"servers": []}), json!({"servers": null}), json!({})] {
            assert!(read(v).is_empty());
        }
    }

    #[test]
    fn an_entry_that_is_no_server_does_not_lose_the_others() {
        assert_eq!(read(json!({"servers": [5, null, {"url": "stun:a"}]})).len(), 1);
    }

    #[test]
    fn one_address_is_written_as_url_and_several_as_urls() {
        let write = |urls: &[&str]| {
            let urls = urls.iter().map(|u| (*u).to_owned()).collect();
            serde_json::to_value(IceServer { urls, ..Default::default() }).unwrap()
        };
        assert_eq!(write(&["stun:a"]), json!({"url": "stun:a"}));
        assert_eq!(write(&["stun:a", "turn:b"]), json!({"urls": ["stun:a", "turn:b"]}));
    }

    #[test]
    fn fields_of_an_entry_survive() {
        let v = json!({"url": "turn:a", "username": "u", "credential": "c", "credentialType": "password"});
        let server: IceServer = serde_json::from_value(v.clone()).unwrap();
        assert_eq!(serde_json::to_value(server).unwrap(), v);
    }

    #[test]
    fn a_turn_password_is_not_in_the_debug_text() {
        let server = read(json!({"servers": [{"url": "turn:a", "username": "u", "credential": "hush"}]}));
        assert!(!format!("{server:?}").contains("hush"));
    }
}
