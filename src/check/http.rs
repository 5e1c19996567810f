//! One request without any secret: is it a web server that answers, is it the right one, and what time is it there?

use super::connect::Stream;
use super::finding::NoAnswer;
use crate::api::types::one_line;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{CONTENT_TYPE, DATE, HOST, LOCATION, USER_AGENT};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use url::Url;

/// For the whole answer.
const LIMIT: Duration = Duration::from_secs(10);
/// More of a page is not read.
const MOST: usize = 64 * 1024;

/// What came.
pub(super) struct Answered {
    pub answer: Result<u16, NoAnswer>,
    /// How far this machine's clock is ahead of the server's, in seconds.
    pub ahead_s: Option<i64>,
}

/// Asks for `url`. Over plain HTTP a proxy is told the whole address.
pub(super) async fn ask(stream: Box<dyn Stream>, url: &Url, plain_proxy: Option<&Intercept>) -> Answered {
    let mut ahead_s = None;
    let answer = match timeout(LIMIT, exchange(stream, url, plain_proxy, &mut ahead_s)).await {
        Ok(answer) => answer,
        Err(_) => Err(NoAnswer::TimedOut),
    };
    Answered { answer, ahead_s }
}

async fn exchange(
    stream: Box<dyn Stream>,
    url: &Url,
    plain_proxy: Option<&Intercept>,
    ahead_s: &mut Option<i64>,
) -> Result<u16, NoAnswer> {
    let broken = |e: hyper::Error| NoAnswer::Broken(innermost(&e));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends with the sender.
    tokio::spawn(connection);
    let authority = url.authority().to_owned();
    let target = if plain_proxy.is_some() { url.as_str() } else { &url[url::Position::BeforePath..] };
    let mut request = hyper::Request::get(target).header(HOST, authority).header(USER_AGENT, "MobileClient");
    if let Some(password) = plain_proxy.and_then(Intercept::basic_auth) {
        request = request.header(hyper::header::PROXY_AUTHORIZATION, password);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|e| NoAnswer::Broken(e.to_string()))?;
    let answer = sender.send_request(request).await.map_err(broken)?;
    let header = |name| answer.headers().get(name).and_then(|v| v.to_str().ok());
    let server_time = header(DATE).and_then(|text| httpdate::parse_http_date(text).ok());
    *ahead_s = server_time.and_then(|time| seconds_after(SystemTime::now(), time));
    let status = answer.status();
    if status.as_u16() == 407 {
        return Err(NoAnswer::ProxyPassword);
    }
    if status.is_redirection() {
        let place = header(LOCATION).unwrap_or("another page");
        // Without the query: it may say who this is.
        return Err(NoAnswer::Redirect(one_line(place.split(['?', '#']).next().unwrap_or_default())));
    }
    let says_html = header(CONTENT_TYPE).is_some_and(|kind| kind.contains("html"));
    let body = Limited::new(answer.into_body(), MOST).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    if says_html || text.trim_start().starts_with('<') {
        return Err(NoAnswer::Page { status: status.as_u16(), title: title(&text) });
    }
    Ok(status.as_u16())
}

fn seconds_after(now: SystemTime, other: SystemTime) -> Option<i64> {
    match now.duration_since(other) {
        Ok(ahead) => i64::try_from(ahead.as_secs()).ok(),
        Err(behind) => i64::try_from(behind.duration().as_secs()).ok().map(|s| -s),
    }
}

/// The title of a page: most portals say there whose they are.
fn title(page: &str) -> Option<String> {
    // ASCII alone is changed, so that places stay what they are.
    let lower = page.to_ascii_lowercase();
    let begin = lower.find("<title")?;
    let begin = begin + lower[begin..].find('>')? + 1;
    let end = begin + lower[begin..].find("</title")?;
    let title: String = one_line(&page[begin..end]).chars().take(80).collect();
    Some(title.trim().to_owned()).filter(|title| !title.is_empty())
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    one_line(&last.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_known_by_its_title() {
        assert_eq!(title("<HTML><head><TITLE lang=en> Hotel\n WLAN </Title>"), Some("Hotel WLAN".into()));
        for page in ["", "<title", "<title>", "<title></title>", "{}"] {
            assert_eq!(title(page), None, "{page}");
        }
    }
}
