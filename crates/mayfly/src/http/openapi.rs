//! The API described: OpenAPI 3.1, at `/api/v1/openapi.json`. A test holds every operation against
//! the running server.

use actix_web::HttpResponse;
use serde_json::{Map, Value, json};

/// Forms of bodies and answers, as JSON Schema.
const SCHEMAS: &str = include_str!("openapi_schemas.json");

/// What a body or an answer is.
#[derive(Clone, Copy)]
enum Content {
    None,
    /// JSON of this form.
    Json(&'static str),
    /// A definitions file.
    Toml,
    /// A taxonomy of the IAB Tech Lab.
    Tsv,
    Bytes,
}

use Content::{Bytes, Json, None as Nothing, Toml, Tsv};

/// One operation: method, path, its name, what it does, its query, its body, its answer.
type Operation = (&'static str, &'static str, &'static str, &'static str, Query, Content, Content);
type Query = &'static [(&'static str, &'static str)];

const PART: Query = &[
    ("after", r#"{"type":"integer","minimum":0,"maximum":4294967295}"#),
    ("limit", r#"{"type":"integer","minimum":1,"maximum":10000}"#),
];
const FLAG: &str = r#"{"type":"boolean"}"#;
const TEXT: &str = r#"{"type":"string","maxLength":1000}"#;
const URL: &str = r#"{"type":"string","maxLength":2048}"#;
const VERSION: &str = r#"{"type":"integer","minimum":0,"maximum":4294967295}"#;
const CHANGE: Query = &[("prune", FLAG), ("why", TEXT), ("expect", VERSION), ("allow_drop", FLAG)];
const STANDARD: &str =
    r#"{"type":"string","pattern":"^(content|audience|ad-product)-[0-9][.][0-9]$"}"#;
const DAYS: &str = r#"{"type":"integer","minimum":1,"maximum":90}"#;

const OPERATIONS: &[Operation] = &[
    (
        "get",
        "/definitions",
        "exportDefinitions",
        "the definitions in force, as a file",
        &[],
        Nothing,
        Toml,
    ),
    (
        "post",
        "/definitions/plan",
        "planDefinitions",
        "what a file would change",
        CHANGE,
        Toml,
        Json("Plan"),
    ),
    (
        "post",
        "/definitions/apply",
        "applyDefinitions",
        "apply a file as one change",
        CHANGE,
        Toml,
        Json("Applied"),
    ),
    (
        "get",
        "/definitions/history",
        "listVersions",
        "every version: who, when, why, what",
        &[],
        Nothing,
        Json("History"),
    ),
    (
        "post",
        "/definitions/lint",
        "lintDefinitions",
        "what is odd, in force or after a file",
        &[],
        Toml,
        Json("Linted"),
    ),
    (
        "post",
        "/definitions/test",
        "testDefinitions",
        "run the fixtures of a file",
        &[],
        Toml,
        Json("Tested"),
    ),
    (
        "get",
        "/definitions/{version}",
        "getVersion",
        "an earlier version, as a file",
        &[],
        Nothing,
        Toml,
    ),
    (
        "post",
        "/definitions/{version}/revert",
        "revertDefinitions",
        "go back to a version",
        CHANGE,
        Nothing,
        Json("Applied"),
    ),
    (
        "post",
        "/taxonomies",
        "loadTaxonomy",
        "put a standard taxonomy into the tree",
        &[("standard!", STANDARD), ("under", TEXT), ("allow_drop", FLAG)],
        Tsv,
        Json("Loaded"),
    ),
    (
        "post",
        "/taxonomies/mappings",
        "mapTaxonomy",
        "give categories the ids of another standard",
        &[("from!", STANDARD), ("to!", STANDARD), ("allow_drop", FLAG)],
        Tsv,
        Json("Mapped"),
    ),
    ("get", "/sites/{key}", "getSite", "a site", &[], Nothing, Json("Site")),
    ("get", "/partners", "listPartners", "the partners", &[], Nothing, Json("Partners")),
    (
        "get",
        "/partners/{key}",
        "getPartner",
        "a partner and its match rate",
        &[("segment", TEXT)],
        Nothing,
        Json("Partner"),
    ),
    (
        "get",
        "/sites/{key}/why",
        "explainPage",
        "why a page falls in its categories; the query is a pixel's",
        &[("u!", URL), ("t", TEXT)],
        Nothing,
        Json("WhyPage"),
    ),
    (
        "get",
        "/sites/{key}/unmapped",
        "listUnmapped",
        "what it sends that no rule uses",
        &[],
        Nothing,
        Json("Unmapped"),
    ),
    (
        "get",
        "/sites/{key}/tail",
        "tailSite",
        "its pixels that pass right now",
        &[("after", r#"{"type":"integer","minimum":0,"maximum":9007199254740991}"#)],
        Nothing,
        Json("Tail"),
    ),
    (
        "get",
        "/categories",
        "listCategories",
        "the tree, by number",
        PART,
        Nothing,
        Json("Categories"),
    ),
    (
        "get",
        "/categories/{id}",
        "getCategory",
        "a category and its visitors",
        &[("days", DAYS)],
        Nothing,
        Json("Category"),
    ),
    (
        "put",
        "/categories/{id}/basis",
        "enableCategory",
        "use a sensitive category, on this basis",
        &[],
        Json("Basis"),
        Json("CategoryRow"),
    ),
    (
        "delete",
        "/categories/{id}/basis",
        "disableCategory",
        "make it sensitive again",
        &[],
        Nothing,
        Json("CategoryRow"),
    ),
    (
        "get",
        "/segments",
        "listSegments",
        "segments with their sizes",
        PART,
        Nothing,
        Json("Segments"),
    ),
    (
        "get",
        "/segments/{name}",
        "getSegment",
        "a segment with its size",
        &[],
        Nothing,
        Json("Segment"),
    ),
    (
        "get",
        "/segments/{name}/members",
        "getMembers",
        "portable 64-bit roaring: partition × 2^32 + ordinal",
        &[],
        Nothing,
        Bytes,
    ),
    (
        "get",
        "/segments/{name}/why",
        "explainMembership",
        "why a visitor is in, or not",
        &[("visitor!", TEXT)],
        Nothing,
        Json("Why"),
    ),
    (
        "get",
        "/segments/{name}/sample",
        "sampleSegment",
        "a few members",
        &[("number", r#"{"type":"integer","minimum":0,"maximum":1000}"#)],
        Nothing,
        Json("Sample"),
    ),
    (
        "post",
        "/lookup",
        "lookUp",
        "segments of visitors, each by an id",
        &[],
        Json("Lookup"),
        Json("LookedUp"),
    ),
    (
        "post",
        "/insights/count",
        "countExpression",
        "the size of any expression",
        &[],
        Json("Rule"),
        Json("Size"),
    ),
    (
        "post",
        "/insights/overlap",
        "overlapSegments",
        "what each two have in common",
        &[],
        Json("OverlapOf"),
        Json("Overlap"),
    ),
    (
        "post",
        "/insights/sizes",
        "sizesByDay",
        "how large it was, day by day",
        &[],
        Json("SizesOf"),
        Json("Sizes"),
    ),
    (
        "post",
        "/insights/composition",
        "composeSegment",
        "what members do more than everybody",
        &[],
        Json("CompositionOf"),
        Json("Composition"),
    ),
    ("post", "/hits", "sendHits", "hits, by outcome", &[], Json("Hits"), Json("Outcomes")),
    ("post", "/hits/try", "tryHit", "one hit, explained", &[], Json("Hit"), Json("Tried")),
    (
        "get",
        "/visitors/{id}",
        "getVisitor",
        "what is held about a visitor",
        &[],
        Nothing,
        Json("Visitor"),
    ),
    (
        "delete",
        "/visitors/{id}",
        "eraseVisitor",
        "erase it",
        &[("now", FLAG)],
        Nothing,
        Json("Erased"),
    ),
    (
        "get",
        "/audit/retention",
        "auditRetention",
        "whether anything outlives the retention",
        &[],
        Nothing,
        Json("Audit"),
    ),
    ("get", "/tokens", "listTokens", "tokens, without secrets", &[], Nothing, Json("Tokens")),
    (
        "post",
        "/tokens",
        "createToken",
        "a token; its secret is told once",
        &[],
        Json("NewToken"),
        Json("CreatedToken"),
    ),
    ("delete", "/tokens/{name}", "revokeToken", "take a token back", &[], Nothing, Json("Revoked")),
    (
        "post",
        "/files/check",
        "checkFile",
        "whether a file was replayed before",
        &[],
        Json("File"),
        Json("NewFile"),
    ),
    (
        "post",
        "/files",
        "noteFile",
        "note that a file was replayed",
        &[],
        Json("File"),
        Json("NotedFile"),
    ),
    ("get", "/status", "getStatus", "how the system is", &[], Nothing, Json("Status")),
    (
        "post",
        "/partitions",
        "raisePartitions",
        "raise the number of partitions",
        &[],
        Json("Partitions"),
        Json("Partitions"),
    ),
];

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
    let in_path = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let mut parameters: Vec<Value> = in_path
        .map(|name| {
            let schema = if matches!(name, "version" | "id") && !path.starts_with("/visitors") {
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
        Content::Bytes => json!({"application/octet-stream": {}}),
    }
}

/// A text under its own name, or as any text.
fn texts(name: &str) -> Value {
    let form = json!({"schema": {"type": "string"}});
    json!({name: form.clone(), "text/plain": form})
}
