//! The admin socket: one JSON object a line, each way.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// A connection to a node.
pub struct Admin(BufReader<UnixStream>);

impl Admin {
    /// Connects.
    ///
    /// # Errors
    /// What the system says: no node is there, mostly.
    pub fn connect(socket: &Path) -> Result<Admin, String> {
        let stream = UnixStream::connect(socket).map_err(|e| format!("{}: {e}", socket.display()))?;
        let patience = Some(Duration::from_secs(10));
        stream.set_read_timeout(patience).map_err(|e| e.to_string())?;
        stream.set_write_timeout(patience).map_err(|e| e.to_string())?;
        Ok(Admin(BufReader::new(stream)))
    }

    /// Asks; `request` holds `do` and its arguments. The answer comes without its envelope.
    ///
    /// # Errors
    /// The node's refusal, or why there was no answer.
    pub fn ask(&mut self, mut request: Value) -> Result<Value, String> {
        request["v"] = json!(1);
        let line = format!("{request}\n");
        self.0.get_mut().write_all(line.as_bytes()).map_err(|e| format!("asking: {e}"))?;
        let mut text = String::new();
        self.0.read_line(&mut text).map_err(|e| format!("no answer: {e}"))?;
        let reply: Value = serde_json::from_str(&text).map_err(|e| format!("'{text}': {e}"))?;
        if reply["v"] != 1 {
            return Err(format!("an answer of another version: {text}"));
        }
        if let Some(error) = reply["error"].as_str() {
            return Err(error.to_string());
        }
        let answer = reply["ok"].as_object().and_then(|o| o.values().next()).cloned();
        answer.ok_or_else(|| format!("an empty answer: {text}"))
    }
}
