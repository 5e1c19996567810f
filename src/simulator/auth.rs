//! Who sends a request: the `Authorization` header (its own scheme, in the form of RFC 9110, 11.4).

use super::error::ApiError;
use crate::api::ErrorCode;

/// The scheme of the header.
const AUTH_SCHEME: &str = "MOBILE-API-140-327-PLAIN";
/// The `clientId` that means: this client is known by its HTTP cookies.
const WEB_CHAT_CLIENT_ID: &str = "WebChat";

/// The cookie that stands for a client which calls itself `WebChat`.
pub(super) const COOKIE: &str = "chatphone_client";

/// One client installation: by its clientId, or by its cookie.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ClientKey(pub String);

impl ClientKey {
    /// The clientId or the cookie, without the letter that tells them apart.
    pub fn id(&self) -> &str {
        let mut chars = self.0.chars();
        chars.next();
        chars.as_str()
    }
}

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub app_id: String,
    /// `None`: the client is known by its cookie.
    pub client_id: Option<String>,
}

impl Credentials {
    /// Reads the header; `None` stands for a request without one.
    pub fn parse(header: Option<&str>) -> Result<Self, ApiError> {
        let header =
            header.map(str::trim).filter(|h| !h.is_empty()).ok_or(ApiError::new(ErrorCode::AuthorizationMissing))?;
        let (scheme, rest) = header.split_once(char::is_whitespace).unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case(AUTH_SCHEME) {
            return Err(ApiError::new(ErrorCode::AuthorizationScheme));
        }
        let (mut app_id, mut client_id) = (None, None);
        for (name, value) in parameters(rest).ok_or(ApiError::new(ErrorCode::AuthorizationFormat))? {
            match name {
                "appId" => app_id = Some(value),
                "clientId" => client_id = Some(value),
                _ => {}
            }
        }
        let app_id = app_id.ok_or(ApiError::new(ErrorCode::AppIdMissing))?;
        let client_id = client_id.filter(|id| !id.is_empty()).ok_or(ApiError::new(ErrorCode::ClientIdMissing))?;
        if app_id.trim().is_empty() {
            return Err(ApiError::new(ErrorCode::InvalidApplication));
        }
        Ok(Self { app_id, client_id: (client_id != WEB_CHAT_CLIENT_ID).then_some(client_id) })
    }
}

/// Reads `name="value", …`; `None` when it has another form. A quoted value may hold commas; `\` takes the next
/// character as it is (RFC 9110, 5.6.4).
fn parameters(mut text: &str) -> Option<Vec<(&str, String)>> {
    let mut list = Vec::new();
    loop {
        text = text.trim_start_matches([' ', '\t']);
        if text.is_empty() {
            return Some(list);
        }
        let (name, rest) = text.split_once('=')?;
        let name = name.trim();
        if name.is_empty() || name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-') {
            return None;
        }
        let mut value = String::new();
        let mut chars = rest.trim_start().strip_prefix('"')?.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => value.push(chars.next()?),
                c if c.is_control() => return None,
                c => value.push(c),
            }
        }
        list.push((name, value));
        let rest = chars.as_str().trim_start();
        text = match rest.strip_prefix(',') {
            Some(more) if !more.trim().is_empty() => more,
            None if rest.is_empty() => "",
            _ => return None,
        };
    }
}

/// The value of one cookie in a `Cookie` header (RFC 6265, 4.2).
pub(super) fn cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(n, v)| *n == name && !v.is_empty() && v.len() <= 128)
        .map(|(_, v)| v)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn code(header: &str) -> ErrorCode {
        Credentials::parse(Some(header)).unwrap_err().code
    }

    #[test]
    fn a_header_as_published_is_read() {
        let c = Credentials::parse(Some(r#"MOBILE-API-140-327-PLAIN appId="app, one", clientId="c1""#)).unwrap();
        assert_eq!(c, Credentials { app_id: "app, one".into(), client_id: Some("c1".into()) });
    }

    #[test]
    fn the_client_id_web_chat_means_cookies() {
        let c = Credentials::parse(Some(r#"MOBILE-API-140-327-PLAIN appId="a",clientId="WebChat""#)).unwrap();
        assert_eq!(c.client_id, None);
    }

    #[test]
    fn each_mistake_in_the_header_has_its_code() {
        assert_eq!(Credentials::parse(None).unwrap_err().code, ErrorCode::AuthorizationMissing);
        assert_eq!(code(" "), ErrorCode::AuthorizationMissing);
        assert_eq!(code("Basic YTpi"), ErrorCode::AuthorizationScheme);
        for bad in [r#"appId="a" clientId="b""#, "appId=a", r#"appId="a"#, r#"appId="a","#, r#"="a""#, "x"] {
            assert_eq!(code(&format!("{AUTH_SCHEME} {bad}")), ErrorCode::AuthorizationFormat, "{bad}");
        }
        assert_eq!(code(AUTH_SCHEME), ErrorCode::AppIdMissing);
        assert_eq!(code(&format!(r#"{AUTH_SCHEME} clientId="c""#)), ErrorCode::AppIdMissing);
        assert_eq!(code(&format!(r#"{AUTH_SCHEME} appId="a""#)), ErrorCode::ClientIdMissing);
        assert_eq!(code(&format!(r#"{AUTH_SCHEME} appId="a", clientId="""#)), ErrorCode::ClientIdMissing);
        assert_eq!(code(&format!(r#"{AUTH_SCHEME} appId="", clientId="c""#)), ErrorCode::InvalidApplication);
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        assert_eq!(cookie("a=1; chatphone_client=xyz; b=2", COOKIE), Some("xyz"));
        assert_eq!(cookie("a=1", COOKIE), None);
        assert_eq!(cookie("chatphone_client=", COOKIE), None);
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read_or_refused_without_a_panic(header in ".{0,80}") {
            let _ = Credentials::parse(Some(&header));
            let _ = Credentials::parse(Some(&format!("{AUTH_SCHEME} {header}")));
        }
    }
}
