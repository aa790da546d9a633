use mayfly_core::Retention;

use crate::{Definitions, DefinitionsFile};

#[test]
fn the_same_account_at_another_host_is_another_receiver() {
    let receiver = |way: &str| {
        let text = format!(
            "format = 1\n[[partner]]\nkey = \"p\"\nprocessor = true\n[[destination]]\nname = \"d\"\n\
             partner = \"p\"\ncountry = \"NL\"\ntransfer = \"within\"\n{way}"
        );
        let file = DefinitionsFile::parse(&text).unwrap();
        let applied = Definitions::default().apply(&file, false, Retention::default()).unwrap();
        applied.definitions.destination("d").unwrap().way.receiver()
    };
    let adobe = |url: &str, client: &str| {
        receiver(&format!(
            "[destination.adobe]\nurl = \"{url}\"\ndata_source = \"1\"\nclient = \"{client}\"\n\
             destination = \"2\"\n"
        ))
    };
    let one = adobe("https://a.example/in", "7");
    assert_eq!(one, adobe("https://a.example/other", "7"), "a path is no receiver");
    assert_ne!(one, adobe("https://b.example/in", "7"));
    assert_ne!(one, adobe("https://a.example/in", "8"));
    let s3 = |more: &str| {
        receiver(&format!(
            "secrets = {{ key_id = \"i\", key = \"k\" }}\n[destination.files]\nfolder = \"d\"\nupload = {{ s3 = {{ bucket = \"b\"{more} }} }}\n"
        ))
    };
    assert_ne!(s3(""), s3(", endpoint = \"https://minio.example\""));
    assert_ne!(s3(""), s3(", prefix = \"x\""));
}
