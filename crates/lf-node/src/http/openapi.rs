//! The OpenAPI 3.1 document, built from the table of endpoints and a short description of the JSON types.

mod schemas;

use std::sync::OnceLock;

use lf_proto::api::API_VERSION;
use serde_json::{Map, Value, json};

use super::endpoints::{Content, ENDPOINTS, Endpoint, Verbs};

/// The document.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(build)
}

fn build() -> Value {
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let mut item = Map::new();
        let (reads, writes) = match endpoint.verbs {
            Verbs::Read => (true, false),
            Verbs::Write => (false, true),
            Verbs::Both => (true, true),
        };
        if reads {
            item.insert("get".to_owned(), operation(endpoint, "get", false));
        }
        if writes {
            item.insert("post".to_owned(), operation(endpoint, "post", true));
        }
        paths.insert(endpoint.path.to_owned(), item.into());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "LF node",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A fully replicated key/value store for small, critical data.",
            "description": format!("API version {API_VERSION}. POST can be sent as PUT, GET as HEAD. Member names of \
                requests are matched without regard to letter case, unknown ones are ignored."),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The text of authtoken.secret in the node's home. Not needed from the node's own \
                                    machine, unless a browser or a proxy sends the request.",
                },
            },
        },
    })
}

fn operation(endpoint: &Endpoint, verb: &str, with_body: bool) -> Value {
    let name: String = endpoint.path.chars().filter(char::is_ascii_alphanumeric).collect();
    let mut responses = Map::new();
    let mut ok = json!({ "description": "Done." });
    if let Some(content) = content(endpoint.answer) {
        ok["content"] = content;
    }
    responses.insert("200".to_owned(), ok);
    let own = endpoint.errors.iter().copied();
    let with_body_only: &[u16] = if with_body { &[408, 413] } else { &[] };
    for status in own.chain(with_body_only.iter().copied()).chain([503]) {
        let reason = axum::http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
        let error = json!({
            "description": reason.unwrap_or_default(),
            "content": { "application/json": { "schema": schemas::reference("Error") } },
        });
        responses.insert(status.to_string(), error);
    }
    let parameters: Vec<Value> = endpoint
        .parameters
        .iter()
        .filter(|p| !(with_body && p.name == "q"))
        .map(|p| {
            json!({ "name": p.name, "in": p.place, "required": p.required, "description": p.about,
                    "schema": { "type": "string" } })
        })
        .collect();
    let mut operation = json!({
        "operationId": format!("{verb}_{name}"),
        "summary": endpoint.about,
        "responses": responses,
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if with_body && let Some(content) = content(endpoint.request) {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    if endpoint.trusted {
        operation["security"] = json!([{ "token": [] }, {}]);
    }
    operation
}

fn content(content: Content) -> Option<Value> {
    let sets =
        |name| json!({ "type": "array", "items": { "type": "array", "items": schemas::reference(name) } });
    let (media, schema) = match content {
        Content::Empty => return None,
        Content::Json(name) => ("application/json", schemas::reference(name)),
        Content::JsonSets(name) => ("application/json", sets(name)),
        Content::AnyJson => ("application/json", json!({ "type": "object" })),
        Content::Octets => ("application/octet-stream", json!({})),
        Content::Text(media) => (media.split(';').next().unwrap_or(media), json!({ "type": "string" })),
    };
    Some(json!({ media: { "schema": schema } }))
}
