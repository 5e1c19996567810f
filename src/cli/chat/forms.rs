//! Forms: which were asked for, what fields they have, and asking a person for the values. No I/O.

use crate::api::event::{FormData, FormShow, SecureFormCancel, SecureFormData, SecureFormShow};
use crate::api::lenient::Extra;
use crate::api::{ClientEvent, ServerEvent};
use serde_json::Value;
use std::collections::VecDeque;
use zeroize::{Zeroize, Zeroizing};

/// How many open forms are remembered; the oldest is forgotten first.
const REMEMBERED: usize = 32;
/// How many fields of a definition are read.
const MOST_FIELDS: usize = 100;
/// Where servers put field definitions. None is published; a client is meant to know the form by its name.
const DEFINED_IN: [&str; 7] = ["fields", "form_fields", "form_definition", "definition", "form", "elements", "inputs"];

/// One field of a form, as far as the server describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    /// Its name in the answer.
    pub name: String,
    /// What to call it for a person.
    pub label: Option<String>,
    /// Its type, as the server writes it.
    pub kind: Option<String>,
    /// Whether it must be filled in.
    pub required: bool,
    /// The values to choose from.
    pub options: Vec<String>,
}

/// A form that was asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FormRequest {
    /// Goes back with the answer.
    pub id: Option<String>,
    /// The name of the form.
    pub name: Option<String>,
    /// Whether its values must not be seen.
    pub secure: bool,
    /// How long it stays valid, in seconds.
    pub timeout_s: Option<f64>,
    /// Its fields; empty when the server did not say.
    pub fields: Vec<Field>,
}

impl From<&FormShow> for FormRequest {
    fn from(form: &FormShow) -> Self {
        Self {
            id: form.form_request_id.clone(),
            name: form.form_name.clone(),
            secure: false,
            timeout_s: form.form_timeout,
            fields: fields(&form.extra),
        }
    }
}

impl From<&SecureFormShow> for FormRequest {
    fn from(form: &SecureFormShow) -> Self {
        Self {
            id: form.form_request_id.clone(),
            name: form.form_id.clone(),
            secure: true,
            timeout_s: None,
            fields: fields(&form.extra),
        }
    }
}

impl FormRequest {
    /// The answer to it.
    pub fn answer(self, data: Extra) -> ClientEvent {
        let (form_request_id, form_name) = (self.id, self.name);
        if self.secure {
            SecureFormData { form_request_id, form_name, data, ..Default::default() }.into()
        } else {
            FormData { form_request_id, form_name, data, ..Default::default() }.into()
        }
    }

    /// Declines it, where it is a secure form.
    pub fn cancel(self) -> ClientEvent {
        SecureFormCancel { form_request_id: self.id, ..Default::default() }.into()
    }
}

/// The forms that were asked for and not answered.
#[derive(Debug, Default)]
pub struct Forms(Vec<FormRequest>);

impl Forms {
    /// Follows the conversation, live or in its history.
    pub fn watch(&mut self, event: &ServerEvent) {
        match event {
            ServerEvent::FormShow(form) => self.asked(form.into()),
            ServerEvent::SecureFormShow(form) => self.asked(form.into()),
            // The client's own answers in the history.
            ServerEvent::Unknown(raw) if is_answer(event.name()) => {
                let id = raw.get("form_request_id").and_then(scalar);
                self.0.retain(|form| form.id != id);
            }
            _ => {}
        }
    }

    /// The form to answer: by name, else the last one asked for.
    pub fn find(&self, secure: bool, name: Option<&str>) -> Option<&FormRequest> {
        self.0.iter().rev().find(|f| f.secure == secure && (name.is_none() || f.name.as_deref() == name))
    }

    /// It needs no answer any more.
    pub fn done(&mut self, form: &FormRequest) {
        self.0.retain(|f| (f.secure, &f.id, &f.name) != (form.secure, &form.id, &form.name));
    }

    /// An answer did not get through: the form is open again.
    pub fn not_sent(&mut self, event: &ClientEvent) {
        let (id, name, secure) = match event {
            ClientEvent::FormData(form) => (&form.form_request_id, &form.form_name, false),
            ClientEvent::SecureFormData(form) => (&form.form_request_id, &form.form_name, true),
            ClientEvent::SecureFormCancel(form) => (&form.form_request_id, &None, true),
            _ => return,
        };
        self.asked(FormRequest { id: id.clone(), name: name.clone(), secure, ..Default::default() });
    }

    fn asked(&mut self, form: FormRequest) {
        self.done(&form);
        self.0.push(form);
        if self.0.len() > REMEMBERED {
            self.0.remove(0);
        }
    }
}

/// Whether an event's name is that of an answer to a form: its data is the customer's own.
pub fn is_answer(event_name: &str) -> bool {
    matches!(event_name, "chat_session_form_data" | "chat_session_secure_form_data" | "chat_session_secure_form_cancel")
}

/// Overwrites the values of a form that were sent.
pub fn wipe(event: &mut ClientEvent) {
    if let ClientEvent::SecureFormData(SecureFormData { data, .. }) = event {
        for value in data.values_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}

/// Reads lines `FIELD=VALUE`; empty ones are passed over.
///
/// # Errors
/// In words, with the number of a line that cannot be read, and none of its text.
pub fn read_values(text: &str) -> Result<Extra, String> {
    let mut data = Extra::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match line.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                data.insert(name.trim().to_owned(), value.trim().into());
            }
            _ => return Err(format!("line {} is not of the form FIELD=VALUE", at + 1)),
        }
    }
    if data.is_empty() { Err("it holds no values".into()) } else { Ok(data) }
}

fn fields(extra: &Extra) -> Vec<Field> {
    let mut found = DEFINED_IN.iter().filter_map(|key| extra.get(*key)).find_map(|v| defined(v, 3)).unwrap_or_default();
    found.truncate(MOST_FIELDS);
    found
}

/// Field definitions: a list of names or objects, an object by name, or an object that holds either.
fn defined(value: &Value, depth: u8) -> Option<Vec<Field>> {
    let found: Vec<Field> = match value {
        Value::Array(list) => list.iter().filter_map(|item| field(None, item)).collect(),
        Value::Object(map) => {
            let inner = DEFINED_IN.iter().filter_map(|key| map.get(*key));
            if let Some(found) = inner.filter(|_| depth > 0).find_map(|v| defined(v, depth - 1)) {
                return Some(found);
            }
            map.iter().filter_map(|(name, item)| field(Some(name), item)).collect()
        }
        _ => Vec::new(),
    };
    (!found.is_empty()).then_some(found)
}

fn field(name: Option<&String>, item: &Value) -> Option<Field> {
    match (name, item) {
        (None, Value::String(name)) => Some(Field { name: name.clone(), ..Default::default() }),
        (Some(name), Value::String(kind)) => {
            Some(Field { name: name.clone(), kind: Some(kind.clone()), ..Default::default() })
        }
        (_, Value::Object(map)) => {
            let text = |keys: &[&str]| keys.iter().find_map(|k| map.get(*k).and_then(scalar)).filter(|t| !t.is_empty());
            let name = text(&["name", "field_name", "id", "key"]).or_else(|| name.cloned())?;
            let options = ["options", "values", "choices"].iter().find_map(|k| map.get(*k).and_then(Value::as_array));
            let option = |v: &Value| {
                let named = || ["value", "name", "label"].iter().find_map(|k| v.get(k).and_then(scalar));
                scalar(v).or_else(named)
            };
            Some(Field {
                name,
                label: text(&["label", "title", "display_name", "caption"]),
                kind: text(&["type", "field_type"]),
                required: ["required", "mandatory"]
                    .iter()
                    .any(|k| map.get(*k).and_then(scalar).as_deref() == Some("true")),
                options: options.into_iter().flatten().take(MOST_FIELDS).filter_map(option).collect(),
            })
        }
        _ => None,
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Asks a person for the values of a form, field by field.
#[derive(Debug)]
pub struct Dialog {
    form: FormRequest,
    /// Still to be asked; with unknown fields (`free`) the one whose name was given.
    left: VecDeque<Field>,
    free: bool,
    data: Extra,
}

/// What to ask next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// For the person; may hold text of the server.
    pub text: String,
    /// Whether the answer must not be seen.
    pub secret: bool,
}

/// What an answer leads to.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Ask on.
    More,
    /// Everything is there.
    Done(Box<ClientEvent>),
    /// The person gave up.
    Cancelled,
}

impl Dialog {
    /// Begins to ask.
    pub fn new(form: FormRequest) -> Self {
        Self { left: form.fields.clone().into(), free: form.fields.is_empty(), data: Extra::new(), form }
    }

    /// The form it is about.
    pub fn form(&self) -> &FormRequest {
        &self.form
    }

    /// What to ask now.
    pub fn question(&self) -> Question {
        let Some(field) = self.left.front() else {
            return Question { text: "field name (empty: send the form, /cancel: give up)".into(), secret: false };
        };
        let mut text = field.label.clone().unwrap_or_else(|| field.name.clone());
        let mut notes: Vec<String> = field.kind.iter().cloned().collect();
        if !field.options.is_empty() {
            notes.push(field.options.join(" | "));
        }
        if field.required {
            notes.push("required".into());
        }
        if !notes.is_empty() {
            text = format!("{text} ({})", notes.join(", "));
        }
        Question { text, secret: self.form.secure }
    }

    /// Takes the answer to the question.
    pub fn answer(&mut self, mut text: Zeroizing<String>) -> Step {
        if text.trim() == "/cancel" {
            return Step::Cancelled;
        }
        match self.left.pop_front() {
            None if text.trim().is_empty() => return self.done(),
            None => self.left.push_back(Field { name: text.trim().to_owned(), ..Default::default() }),
            Some(field) if text.is_empty() && field.required => self.left.push_front(field),
            // A field that is left empty is left out, as in a browser form that is not filled in.
            Some(_) if text.is_empty() && !self.free => {}
            // Moved, not copied: what is copied cannot be wiped.
            Some(field) => drop(self.data.insert(field.name, Value::String(std::mem::take(&mut *text)))),
        }
        if self.left.is_empty() && !self.free { self.done() } else { Step::More }
    }

    fn done(&mut self) -> Step {
        Step::Done(Box::new(self.form.clone().answer(std::mem::take(&mut self.data))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn show(json: Value) -> FormRequest {
        let mut json = json;
        json["event"] = "chat_session_form_show".into();
        match serde_json::from_value(json).unwrap() {
            ServerEvent::FormShow(form) => FormRequest::from(&form),
            other => panic!("{other:?}"),
        }
    }

    fn say(dialog: &mut Dialog, text: &str) -> Step {
        dialog.answer(Zeroizing::new(text.to_owned()))
    }

    fn event(json: Value) -> ServerEvent {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn field_definitions_are_read_in_every_shape_they_come_in() {
        let names = |form: &FormRequest| form.fields.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
        for shape in [
            json!({ "fields": ["a", "b"] }),
            json!({ "fields": [{ "name": "a" }, { "id": "b" }] }),
            json!({ "form": { "fields": [{ "name": "a" }, 7, { "key": "b" }] } }),
            json!({ "definition": { "a": "TEXT", "b": { "type": "PHONE" } } }),
        ] {
            assert_eq!(names(&show(shape.clone())), ["a", "b"], "{shape}");
        }
        assert!(show(json!({ "fields": "a", "channel": "web" })).fields.is_empty());
        let form = show(json!({ "fields": [{ "name": "n", "label": "Size", "type": "LIST", "required": "true",
            "options": ["S", { "value": "M" }, 3] }] }));
        let field = &form.fields[0];
        assert_eq!((field.label.as_deref(), field.kind.as_deref(), field.required), (Some("Size"), Some("LIST"), true));
        assert_eq!(field.options, ["S", "M", "3"]);
    }

    #[test]
    fn the_last_form_asked_for_is_answered_unless_one_is_named() {
        let mut forms = Forms::default();
        for (id, name) in [("1", "contact"), ("2", "survey")] {
            forms.watch(&event(json!({ "event": "chat_session_form_show", "form_request_id": id, "form_name": name })));
        }
        forms.watch(&event(
            json!({ "event": "chat_session_secure_form_show", "form_request_id": 3, "form_id": "card" }),
        ));
        let id = |forms: &Forms, secure, name| forms.find(secure, name).and_then(|f| f.id.clone());
        assert_eq!(id(&forms, false, None).as_deref(), Some("2"));
        assert_eq!(id(&forms, false, Some("contact")).as_deref(), Some("1"));
        assert_eq!(id(&forms, true, None).as_deref(), Some("3"));
        assert_eq!(id(&forms, false, Some("card")), None);
        // Answered, as the history tells.
        forms.watch(&event(json!({ "event": "chat_session_form_data", "form_request_id": 2, "data": {} })));
        assert_eq!(id(&forms, false, None).as_deref(), Some("1"));
        let contact = forms.find(false, None).unwrap().clone();
        forms.done(&contact);
        assert_eq!(forms.find(false, None), None);
    }

    #[test]
    fn known_fields_are_asked_one_by_one_and_required_ones_again() {
        let mut dialog = Dialog::new(show(json!({ "form_request_id": "9", "form_name": "f",
            "fields": [{ "name": "a", "required": true }, { "name": "b", "type": "PHONE" }, "c"] })));
        assert_eq!(dialog.question().text, "a (required)");
        assert_eq!(say(&mut dialog, ""), Step::More);
        assert_eq!(dialog.question().text, "a (required)");
        say(&mut dialog, " 1 ");
        assert_eq!(dialog.question(), Question { text: "b (PHONE)".into(), secret: false });
        say(&mut dialog, "");
        let Step::Done(answer) = say(&mut dialog, "3") else { panic!() };
        assert_eq!(
            serde_json::to_value(&*answer).unwrap(),
            json!({ "event": "chat_session_form_data", "form_request_id": 9, "form_name": "f", "data": { "a": " 1 ", "c": "3" } })
        );
    }

    #[test]
    fn unknown_fields_are_named_by_the_person() {
        let mut dialog = Dialog::new(FormRequest { secure: true, id: Some("x".into()), ..Default::default() });
        assert!(!dialog.question().secret, "a name may be seen");
        say(&mut dialog, "card");
        assert_eq!(dialog.question(), Question { text: "card".into(), secret: true });
        say(&mut dialog, "4111");
        let Step::Done(mut answer) = say(&mut dialog, "") else { panic!() };
        assert_eq!(serde_json::to_value(&*answer).unwrap()["data"], json!({ "card": "4111" }));
        wipe(&mut answer);
        assert_eq!(serde_json::to_value(&*answer).unwrap()["data"], json!({ "card": "" }));
    }

    #[test]
    fn a_form_can_be_given_up() {
        let mut dialog = Dialog::new(FormRequest::default());
        assert_eq!(say(&mut dialog, "/cancel"), Step::Cancelled);
    }

    #[test]
    fn an_unreadable_value_file_is_told_by_line_number_alone() {
        assert_eq!(
            read_values("\n card = 41=11 \n\ncvc=1\n").unwrap(),
            *json!({ "card": "41=11", "cvc": "1" }).as_object().unwrap()
        );
        let error = read_values("a=1\nsecret\n").unwrap_err();
        assert!(error.contains("line 2") && !error.contains("secret"), "{error}");
        assert!(read_values(" \n").is_err());
    }

    proptest! {
        #[test]
        fn no_answer_panics(answers in prop::collection::vec(".{0,8}", 0..20), known in any::<bool>()) {
            let fields = if known { vec![Field { name: "a".into(), required: true, ..Default::default() }] } else { vec![] };
            let mut dialog = Dialog::new(FormRequest { fields, ..Default::default() });
            for text in answers {
                dialog.question();
                if say(&mut dialog, &text) != Step::More { break; }
            }
        }
    }
}
