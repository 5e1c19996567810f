#![allow(clippy::unwrap_used)]
use super::*;

fn settings(toml: &str) -> Settings {
    toml::from_str(toml).unwrap()
}

fn file(text: &str) -> Result<Settings, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    Settings::from_file(&path)
}

fn env(pairs: &'static [(&'static str, &'static str)]) -> Result<Settings, ConfigError> {
    Settings::from_env(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()))
}

fn with_url(more: &str) -> Connection {
    settings(&format!("url = 'https://a.example'\napp_id = 'a'\n{more}")).connection(|| "own".into()).unwrap()
}

#[test]
fn flags_win_over_environment_over_file() {
    let flags = settings("url = 'https://flag'");
    let environment = env(&[("CHATPHONE_URL", "https://env"), ("CHATPHONE_TENANT", "env")]).unwrap();
    let below = settings("url = 'https://file'\ntenant = 'file'\napp_id = 'file'");
    let all = flags.over(environment).over(below);
    assert_eq!(all.url.as_deref(), Some("https://flag"));
    assert_eq!(all.tenant.as_deref(), Some("env"));
    assert_eq!(all.app_id.as_deref(), Some("file"));
}

#[test]
fn parameters_of_all_sources_come_together() {
    let all = settings("parameters = { a = '1', b = '2' }").over(settings("parameters = { b = 'x', c = '3' }"));
    assert_eq!(all.parameters.into_iter().map(|(k, v)| k + &v).collect::<Vec<_>>(), ["a1", "b2", "c3"]);
}

#[test]
fn the_way_to_be_known_comes_from_one_source() {
    let all = settings("web_chat = true").over(settings("client_id = 'file'"));
    assert_eq!((all.web_chat, all.client_id), (Some(true), None));
    let all = settings("client_id = 'flag'").over(settings("web_chat = true"));
    assert_eq!((all.web_chat, all.client_id.as_deref()), (None, Some("flag")));
}

#[test]
fn an_unknown_key_is_named_with_its_file_and_line() {
    let text = file("url = 'https://a'\nappid = 'x'\n").unwrap_err().to_string();
    assert!(text.contains("config.toml, line 2") && text.contains("unknown key `appid`"), "{text}");
    assert!(!text.contains('\n'), "{text}");
}

#[test]
fn text_that_is_no_toml_is_an_error_of_one_line() {
    for bad in ["url", "url = ", "= 5", "url = 5", "[parameters]\na = 1", "[[url]]"] {
        let text = file(bad).unwrap_err().to_string();
        assert!(text.contains("config.toml, line") && !text.contains('\n'), "{bad}: {text}");
    }
}

#[test]
fn an_empty_variable_counts_as_missing() {
    assert_eq!(env(&[("CHATPHONE_URL", ""), ("CHATPHONE_WEB_CHAT", "")]).unwrap(), Settings::default());
}

#[test]
fn a_switch_in_the_environment_is_on_off_or_an_error() {
    assert_eq!(env(&[("CHATPHONE_WEB_CHAT", "1")]).unwrap().web_chat, Some(true));
    assert_eq!(env(&[("CHATPHONE_WEB_CHAT", "off")]).unwrap().web_chat, Some(false));
    let text = env(&[("CHATPHONE_INSECURE_HTTP", "maybe")]).unwrap_err().to_string();
    assert!(text.contains("CHATPHONE_INSECURE_HTTP"), "{text}");
}

#[test]
fn what_is_missing_is_said_with_every_way_to_give_it() {
    let text = Settings::default().connection(|| "own".into()).unwrap_err().to_string();
    assert!(text.contains("--url") && text.contains("CHATPHONE_URL"), "{text}");
    let text = settings("url = 'https://a'").connection(|| "own".into()).unwrap_err().to_string();
    assert!(text.contains("--app-id") && text.contains("CHATPHONE_APP_ID") && text.contains("app_id"), "{text}");
}

#[test]
fn names_and_parameters_go_to_the_scenario() {
    let all = with_url("first_name = 'Sam'\nphone_number = '+1'\nfrom = 'Lobby'\nparameters = { floor = '3' }");
    let expected = serde_json::json!({
        "phone_number": "+1", "from": "Lobby", "parameters": {"first_name": "Sam", "floor": "3"}
    });
    assert_eq!(serde_json::to_value(&all.request).unwrap(), expected);
}

#[test]
fn an_own_id_is_used_only_when_none_is_given() {
    assert_eq!(with_url("").client.identity, Identity::ClientId("own".into()));
    assert_eq!(with_url("client_id = 'c'").client.identity, Identity::ClientId("c".into()));
    assert_eq!(with_url("web_chat = true").client.identity, Identity::WebChat);
    assert_eq!(with_url("web_chat = false").client.identity, Identity::ClientId("own".into()));
}
