//! A name and a subject in, a new API key and what a policy keeps of it out. The key is printed once and is nowhere else.

use std::io::{self, Write};

use serde_json::json;
use token_core::opaque::api_keys::{digest, generate};

use crate::args::{ApiKey, Format};
use crate::end::{End, Failure};

pub(crate) fn run(options: &ApiKey) -> Result<End, Failure> {
    let key = generate(&options.prefix, &options.id).map_err(|error| Failure::input(error.to_string()))?;
    let sha256: String = digest(&key).iter().map(|byte| format!("{byte:02x}")).collect();
    let subject = options.subject.as_deref().unwrap_or(&options.id);
    let scopes: Vec<&str> = options.scope.as_deref().unwrap_or_default().split_whitespace().collect();
    match options.format {
        Format::Json => {
            let policy =
                json!({ "id": options.id, "subject": subject, "scopes": scopes, "secrets": [{ "sha256": sha256 }] });
            writeln!(io::stdout(), "{}", json!({ "key": key, "policy": policy }))?;
        }
        Format::Text => {
            writeln!(io::stdout(), "{key}")?;
            // Apart from the key, which may go into a file or a vault. JSON's texts are texts of TOML.
            writeln!(
                io::stderr(),
                "\nThis is the only time that the key is shown. What the policy keeps of it:\n\n\
                 [[issuers.api_keys.keys]]\nid = {}\nsubject = {}\nscopes = {}\nsecrets = [{{ sha256 = \"{sha256}\" }}]",
                json!(options.id),
                json!(subject),
                json!(scopes)
            )?;
        }
    }
    Ok(End::Yes)
}
