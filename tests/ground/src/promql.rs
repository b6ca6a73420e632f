//! Expressions of Prometheus, as far as it takes to see whether they ask for what is there: the metrics that they select,
//! with the labels that they match, and the labels by which they group.

use std::collections::{BTreeMap, BTreeSet};

/// Words that are followed by a list of labels.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words that are no metric.
const WORDS: [&str; 8] = ["and", "or", "unless", "offset", "bool", "inf", "nan", "atan2"];
/// Labels that a scrape adds.
const OF_SCRAPES: [&str; 5] = ["job", "instance", "pod", "container", "endpoint"];

/// Metrics and labels of an expression.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Each metric with the labels that are matched.
    pub selectors: Vec<(String, BTreeSet<String>)>,
    /// The labels by which results are grouped or joined.
    pub groups: BTreeSet<String>,
}

impl Query {
    /// Reads an expression.
    #[must_use]
    pub fn read(expression: &str) -> Self {
        let tokens = tokens(expression);
        let mut query = Self::default();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let next = tokens.get(at + 1).map(String::as_str);
            if LISTS.contains(&token.as_str()) && next == Some("(") {
                let end = position(&tokens, at, ")");
                query.groups.extend(tokens[at + 2..end].iter().filter(|token| is_name(token)).cloned());
                at = end;
            } else if is_name(token) && next == Some("{") {
                let end = position(&tokens, at, "}");
                let inside = &tokens[at + 2..end];
                let labels = inside.windows(2).filter(|pair| is_name(&pair[0]) && is_operator(&pair[1]));
                query.selectors.push((token.clone(), labels.map(|pair| pair[0].clone()).collect()));
                at = end;
            } else if is_name(token) && !is_function(next) && !WORDS.contains(&token.as_str()) {
                query.selectors.push((token.clone(), BTreeSet::new()));
            }
            at += 1;
        }
        query
    }

    /// Metrics and labels of the expression that a scrape lacks.
    #[must_use]
    pub fn missing(&self, scrape: &Scrape) -> Vec<String> {
        let mut missing = Vec::new();
        let mut labels: BTreeSet<String> = OF_SCRAPES.map(ToOwned::to_owned).into();
        for (metric, matched) in &self.selectors {
            let Some(known) = scrape.labels(metric) else {
                missing.push(format!("the metric {metric}"));
                continue;
            };
            let unknown =
                matched.iter().filter(|label| !known.contains(*label) && !OF_SCRAPES.contains(&label.as_str()));
            missing.extend(unknown.map(|label| format!("the label {label} of {metric}")));
            labels.extend(known);
        }
        let unknown = self.groups.iter().filter(|label| !labels.contains(*label));
        missing.extend(unknown.map(|label| format!("the label {label}, by which it groups")));
        missing
    }
}

fn position(tokens: &[String], from: usize, end: &str) -> usize {
    let rest = tokens.iter().skip(from).position(|token| token == end);
    rest.map_or(tokens.len(), |position| from + position)
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
}

/// True if what follows a name says that it is a function or an aggregation.
fn is_function(next: Option<&str>) -> bool {
    next.is_some_and(|next| next == "(" || next == "by" || next == "without")
}

fn is_operator(token: &str) -> bool {
    ["=", "!", "~"].iter().any(|sign| token.starts_with(sign))
}

/// Names, and single signs; texts in quotes and ranges in brackets are left out.
fn tokens(expression: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = expression.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' | '\'' => while rest.next().is_some_and(|inner| inner != c) {},
            '[' => while rest.next().is_some_and(|inner| inner != ']') {},
            _ if c.is_alphanumeric() || c == '_' || c == ':' => {
                let mut word = c.to_string();
                while let Some(more) = rest.next_if(|more| more.is_alphanumeric() || matches!(more, '_' | ':' | '.')) {
                    word.push(more);
                }
                tokens.push(word);
            }
            _ if c.is_whitespace() => {}
            _ => tokens.push(c.to_string()),
        }
    }
    tokens
}

/// Answer of a program at `/metrics`.
#[derive(Debug, Default)]
pub struct Scrape {
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Scrape {
    /// Reads the text of an answer, its HTTP head left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self { samples: lines.filter_map(sample).collect() }
    }

    /// The labels of a metric's samples; `None` if there is none.
    #[must_use]
    pub fn labels(&self, metric: &str) -> Option<BTreeSet<String>> {
        let mut found = self.samples.iter().filter(|(name, ..)| name == metric).peekable();
        found.peek()?;
        Some(found.flat_map(|(_, labels, _)| labels.keys().cloned()).collect())
    }

    /// The values of a metric's samples with these labels.
    #[must_use]
    pub fn values(&self, metric: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let fits = |known: &BTreeMap<String, String>| {
            labels.iter().all(|(name, value)| known.get(*name).is_some_and(|known| known == value))
        };
        let found = self.samples.iter().filter(|(name, known, _)| name == metric && fits(known));
        found.map(|(_, _, value)| *value).collect()
    }
}

/// A line as name, labels and value. No label of ours has a quotation mark or a comma in its value.
fn sample(line: &str) -> Option<(String, BTreeMap<String, String>, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').map_or((series, ""), |(name, rest)| (name, rest.trim_end_matches('}')));
    let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
    let labels = pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect();
    Some((name.to_owned(), labels, value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(expression: &str) -> Vec<String> {
        Query::read(expression).selectors.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn metrics_are_told_from_functions_words_and_labels() {
        assert_eq!(names("sum by (a, b) (rate(x_total{c=\"or y\"}[5m])) > 0.5 and y offset 5m"), ["x_total", "y"]);
        assert_eq!(names("(sum(x) or vector(0)) < 1e3"), ["x"]);
        let query = Query::read("max by (target) (x{a=~\"b|c\", d!=\"e\"}) * on(f) group_left(g) y");
        assert_eq!(query.selectors[0].1, ["a".to_owned(), "d".to_owned()].into());
        assert_eq!(query.groups, ["f".to_owned(), "g".to_owned(), "target".to_owned()].into());
    }

    #[test]
    fn what_a_scrape_does_not_have_is_missing() {
        let scrape = Scrape::read("# TYPE x gauge\nx{a=\"1\",b=\"2\"} 3\ny_total 4.5\n# EOF\n");
        assert_eq!(scrape.values("x", &[("a", "1")]), [3.0]);
        assert_eq!(scrape.values("x", &[("a", "2")]), [0.0; 0]);
        assert_eq!(Query::read("sum by (a, pod) (x{b=\"2\"}) / y_total").missing(&scrape), [""; 0]);
        assert_eq!(
            Query::read("sum by (c) (x{d=\"2\"}) / z").missing(&scrape),
            ["the label d of x", "the metric z", "the label c, by which it groups"]
        );
    }
}
