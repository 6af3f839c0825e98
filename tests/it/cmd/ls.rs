use crate::kit::Env;

#[test]
fn an_empty_namespace_is_an_empty_document_and_no_failure() {
    let env = Env::new();
    let document = env.json(["ls", "--json"]);
    assert_eq!(document["version"], 1);
    assert_eq!(document["objects"], serde_json::json!([]));
    assert_eq!(document["gaps"], serde_json::json!([]));
}
