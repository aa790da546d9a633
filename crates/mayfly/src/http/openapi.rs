//! The API described: OpenAPI 3.1, at `/api/v1/openapi.json`. A test holds every operation against
//! the running server.

use actix_web::HttpResponse;
use serde_json::{Map, Value, json};

use operations::{Content, Json, Nothing, OPERATIONS, Operation};

mod operations;

/// Forms of bodies and answers, as JSON Schema.
const SCHEMAS: &str = include_str!("openapi_schemas.json");

/// The description. It tells nothing of what is held, so that nobody needs a token for it.
pub(crate) async fn document() -> HttpResponse {
    HttpResponse::Ok().json(described())
}

fn described() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.1).or_insert_with(|| json!({}));
        path[operation.0] = one(operation);
    }
    let mut schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    schemas["Error"] = json!({
        "type": "object",
        "required": ["error"],
        "properties": {"error": {
            "type": "object",
            "required": ["code", "message", "docs"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "docs": {"type": "string"},
            },
        }},
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mayfly",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
}

fn one((_, path, id, summary, query, body, answer): &Operation) -> Value {
    let is_named = path.starts_with("/visitors") || path.starts_with("/deliveries");
    let in_path = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let mut parameters: Vec<Value> = in_path
        .map(|name| {
            let schema = if matches!(name, "version" | "id") && !is_named {
                json!({"type": "integer", "minimum": 0, "maximum": u32::MAX})
            } else {
                json!({"type": "string", "minLength": 1, "maxLength": 1000})
            };
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        })
        .collect();
    for (name, schema) in *query {
        let required = name.ends_with('!');
        let schema: Value = serde_json::from_str(schema).unwrap_or_default();
        let name = name.trim_end_matches('!');
        let row = json!({"name": name, "in": "query", "required": required, "schema": schema});
        parameters.push(row);
    }
    let mut shown = json!({
        "operationId": id,
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "done", "content": content(*answer)},
            "default": {"description": "refused", "content": content(Json("Error"))},
        },
    });
    if !matches!(body, Nothing) {
        // Without a file, lints are of what is in force.
        let required = *id != "lintDefinitions";
        shown["requestBody"] = json!({"required": required, "content": content(*body)});
    }
    shown
}

fn content(content: Content) -> Value {
    match content {
        Content::None => json!({}),
        Content::Json(name) => {
            let form = format!("#/components/schemas/{name}");
            json!({"application/json": {"schema": {"$ref": form}}})
        }
        Content::Toml => texts("application/toml"),
        Content::Tsv => texts("text/tab-separated-values"),
        Content::Csv => json!({"text/csv": {"schema": {"type": "string"}}}),
        Content::Lines => json!({"application/x-ndjson": {"schema": {"type": "string"}}}),
        Content::Bytes => json!({"application/octet-stream": {}}),
    }
}

/// A text under its own name, or as any text.
fn texts(name: &str) -> Value {
    let form = json!({"schema": {"type": "string"}});
    json!({name: form.clone(), "text/plain": form})
}
