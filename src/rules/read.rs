//! The configuration as text (TOML).

use toml_edit::{DocumentMut, Item, TableLike};

use super::glob::Glob;
use super::{Rule, Rules};

/// See [`Rules::read`].
pub(super) fn read(text: &str) -> Result<Rules, String> {
    let document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let mut rules = Vec::new();
    for (key, item) in document.iter() {
        if key != "rule" {
            return Err(format!("{key:?} is not known; known is: [[rule]]"));
        }
        let tables = item
            .as_array_of_tables()
            .ok_or("a rule begins with [[rule]], in two brackets")?;
        for (nth, table) in tables.iter().enumerate() {
            let rule = rule(table).map_err(|why| format!("rule {}: {why}", nth + 1))?;
            rules.push(rule);
        }
    }
    Ok(Rules { rules })
}

fn rule(table: &dyn TableLike) -> Result<Rule, String> {
    let (mut glob, mut mount, mut local_only, mut redirect) = (None, None, None, None);
    for (key, item) in table.iter() {
        match key {
            "glob" => glob = Some(Glob::read(text(key, item)?)?),
            "mount" => mount = Some(text(key, item)?.into()),
            "local-only" => local_only = Some(truth(key, item)?),
            "redirect" => redirect = Some(truth(key, item)?),
            _ => {
                return Err(format!(
                    "{key:?} is not known; known are: glob, mount, local-only, redirect"
                ));
            }
        }
    }
    let glob = glob.ok_or("it has no glob")?;
    if local_only.is_none() && redirect.is_none() {
        return Err("it says neither local-only nor redirect".into());
    }
    if redirect == Some(true) && glob.literal().is_none() {
        return Err(
            "redirect needs a path from the root of the mount without wildcards, such as /src/build"
                .into(),
        );
    }
    Ok(Rule {
        glob,
        mount,
        local_only,
        redirect,
    })
}

fn text<'a>(key: &str, item: &'a Item) -> Result<&'a str, String> {
    item.as_str().ok_or_else(|| format!("{key} is a text"))
}

fn truth(key: &str, item: &Item) -> Result<bool, String> {
    item.as_bool()
        .ok_or_else(|| format!("{key} is true or false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_refused_with_a_sentence() {
        let cases = [
            ("[[rules]]\nglob = 'a'\n", "\"rules\" is not known"),
            ("[rule]\nglob = 'a'\n", "two brackets"),
            (
                "[[rule]]\nglob = 'a'\nlocal_only = true\n",
                "rule 1: \"local_only\"",
            ),
            ("[[rule]]\nlocal-only = true\n", "no glob"),
            ("[[rule]]\nglob = 'a'\n", "neither"),
            (
                "[[rule]]\nglob = 'a'\nlocal-only = 'yes'\n",
                "true or false",
            ),
            (
                "[[rule]]\nglob = 'a'\nredirect = true\n",
                "without wildcards",
            ),
            ("[[rule]\n", "line 1"),
        ];
        for (text, wanted) in cases {
            let why = read(text).unwrap_err();
            assert!(why.contains(wanted), "{text}: {why}");
        }
        assert!(read("# nothing\n").unwrap().is_empty());
    }
}
