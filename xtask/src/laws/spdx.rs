//! SPDX licence expressions, annex D of the specification: `MIT OR (Apache-2.0 AND ISC)`.
//! The old form with a slash, `MIT/Apache-2.0`, means OR, as cargo's documentation says.

/// Whether an expression can be satisfied with licences that `allowed` accepts. An expression that does not
/// parse is an error that says why.
pub fn satisfied(expression: &str, allowed: impl Fn(&str) -> bool) -> Result<bool, String> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, at: 0, allowed: &allowed };
    let value = parser.any()?;
    match parser.word() {
        None => Ok(value),
        Some(extra) => Err(format!("unexpected `{extra}`")),
    }
}

struct Parser<'a> {
    words: &'a [&'a str],
    at: usize,
    allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Parser<'a> {
    fn word(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.word() == Some(word);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<bool, String> {
        let mut value = self.all()?;
        while self.take("OR") {
            value |= self.all()?;
        }
        Ok(value)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut value = self.one()?;
        while self.take("AND") {
            value &= self.one()?;
        }
        Ok(value)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.take("(") {
            let value = self.any()?;
            return if self.take(")") { Ok(value) } else { Err("a bracket is not closed".to_owned()) };
        }
        let Some(name) = self.word() else { return Err("it ends too early".to_owned()) };
        if matches!(name, "OR" | "AND" | "WITH" | ")") {
            return Err(format!("unexpected `{name}`"));
        }
        self.at += 1;
        if self.take("WITH") {
            let Some(exception) = self.word() else { return Err("it ends after WITH".to_owned()) };
            self.at += 1;
            return Ok((self.allowed)(&format!("{name} WITH {exception}")));
        }
        Ok((self.allowed)(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mit_or_isc(name: &str) -> bool {
        matches!(name, "MIT" | "ISC")
    }

    #[test]
    fn or_needs_one_and_needs_both() {
        assert_eq!(satisfied("GPL-3.0 OR MIT", mit_or_isc), Ok(true));
        assert_eq!(satisfied("GPL-3.0/MIT", mit_or_isc), Ok(true));
        assert_eq!(satisfied("GPL-3.0 AND MIT", mit_or_isc), Ok(false));
        assert_eq!(satisfied("(GPL-3.0 OR ISC) AND MIT", mit_or_isc), Ok(true));
        assert_eq!(satisfied("GPL-3.0 OR ISC AND GPL-2.0", mit_or_isc), Ok(false));
    }

    #[test]
    fn an_exception_is_a_part_of_the_name() {
        assert_eq!(satisfied("MIT WITH Something", mit_or_isc), Ok(false));
        assert_eq!(satisfied("MIT WITH Something", |name| name == "MIT WITH Something"), Ok(true));
    }

    #[test]
    fn nonsense_is_an_error() {
        for text in ["", "MIT OR", "(MIT", "MIT)", "OR", "MIT MIT", "MIT WITH"] {
            assert!(satisfied(text, mit_or_isc).is_err(), "{text}");
        }
    }
}
