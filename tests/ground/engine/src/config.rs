//! The stand-in's options: vLLM's command line, and faults and speeds of its own.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

/// A way to misbehave, for tests that want to see what the operator does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Behaves.
    #[default]
    None,
    /// Ends with exit code 1 before it listens, as an engine does that cannot load its model.
    FailStart,
    /// Never listens.
    HangStart,
    /// Listens, and answers nothing.
    Hang,
    /// Answers `/health` and completions with 500.
    Unhealthy,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" | "none" => Ok(Self::None),
            "fail-start" => Ok(Self::FailStart),
            "hang-start" => Ok(Self::HangStart),
            "hang" => Ok(Self::Hang),
            "unhealthy" => Ok(Self::Unhealthy),
            _ => Err("expected none, fail-start, hang-start, hang or unhealthy".to_owned()),
        }
    }
}

/// Everything that decides how the stand-in behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The names that `/v1/models` lists and that requests may ask for (`--served-model-name`, else the model).
    pub served_names: Vec<String>,
    /// The value of `root` in `/v1/models` (`--model`, or the word after `serve`).
    pub model: String,
    /// Address to listen at (`--host`).
    pub host: String,
    /// Port to listen at (`--port`).
    pub port: u16,
    /// Guards everything below `/v1` (`--api-key`, else `VLLM_API_KEY`, else `ROADSTEAD_API_KEY`).
    pub api_key: Option<String>,
    /// Time for requests in flight after SIGTERM (`--shutdown-timeout`, seconds; 0 as in vLLM).
    pub shutdown_timeout: Duration,
    /// Maximum number of concurrent requests; others wait (`--max-num-seqs`).
    pub max_running: usize,
    /// Time before it listens (`--engine-startup-seconds`, `ENGINE_STARTUP_SECONDS`).
    pub startup: Duration,
    /// Time from one token to the next (from `--engine-tokens-per-second`, `ENGINE_TOKENS_PER_SECOND`).
    pub token_interval: Duration,
    /// Time after the start of the listener at which it exits (`--engine-exit-after-seconds`,
    /// `ENGINE_EXIT_AFTER_SECONDS`).
    pub exit_after: Option<Duration>,
    /// The exit code for that (`--engine-exit-code`, `ENGINE_EXIT_CODE`).
    pub exit_code: u8,
    /// Fault to simulate (`--engine-fault`, `ENGINE_FAULT`).
    pub fault: Fault,
}

/// A setting that cannot be understood.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The flag or variable, as the user wrote it.
    setting: String,
    /// The problem of the value.
    problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// Settings by flag name: flags win over environment variables.
struct Settings<'a> {
    flags: BTreeMap<String, Vec<String>>,
    environment: &'a dyn Fn(&str) -> Option<String>,
}

impl Settings<'_> {
    fn text(&self, flag: &str, variables: &[&str]) -> Option<(String, String)> {
        if let Some(value) = self.flags.get(flag).and_then(|values| values.first()) {
            return Some((format!("--{flag}"), value.clone()));
        }
        variables.iter().find_map(|name| {
            let value = (self.environment)(name).filter(|value| !value.is_empty())?;
            Some(((*name).to_owned(), value))
        })
    }

    fn parsed<T>(&self, flag: &str, variables: &[&str]) -> Result<Option<T>, ConfigError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let Some((setting, value)) = self.text(flag, variables) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(parsed) => Ok(Some(parsed)),
            Err(problem) => Err(ConfigError { setting, problem: format!("\"{value}\": {problem}") }),
        }
    }

    fn seconds(&self, flag: &str, variables: &[&str]) -> Result<Option<Duration>, ConfigError> {
        let Some(seconds) = self.parsed::<f64>(flag, variables)? else {
            return Ok(None);
        };
        Duration::try_from_secs_f64(seconds)
            .map(Some)
            .map_err(|problem| ConfigError { setting: format!("--{flag}"), problem: problem.to_string() })
    }
}

impl Config {
    /// Reads vLLM's command line (without the program's name) and the environment.
    ///
    /// Flags that are not known are ignored with their values: vLLM has hundreds.
    ///
    /// # Errors
    /// Names the flag or variable whose value cannot be understood.
    pub fn read(
        arguments: impl IntoIterator<Item = String>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let (positional, flags) = split(arguments);
        let settings = Settings { flags, environment };
        let model = positional
            .or_else(|| settings.text("model", &[]).map(|(_, model)| model))
            .unwrap_or_else(|| "stand-in".to_owned());
        let served_names = match settings.flags.get("served-model-name") {
            Some(names) if !names.is_empty() => names.clone(),
            _ => vec![model.clone()],
        };
        let rate = settings
            .parsed::<f64>("engine-tokens-per-second", &["ENGINE_TOKENS_PER_SECOND"])?
            .filter(|rate| *rate > 0.0)
            .unwrap_or(200.0);
        Ok(Self {
            served_names,
            model,
            host: settings.text("host", &[]).map_or_else(|| "0.0.0.0".to_owned(), |(_, host)| host),
            port: settings.parsed("port", &[])?.unwrap_or(8000),
            api_key: settings.text("api-key", &["VLLM_API_KEY", "ROADSTEAD_API_KEY"]).map(|(_, key)| key),
            shutdown_timeout: settings.seconds("shutdown-timeout", &[])?.unwrap_or_default(),
            max_running: settings.parsed("max-num-seqs", &[])?.unwrap_or(256),
            startup: settings.seconds("engine-startup-seconds", &["ENGINE_STARTUP_SECONDS"])?.unwrap_or_default(),
            token_interval: Duration::try_from_secs_f64(rate.recip()).unwrap_or(Duration::MAX),
            exit_after: settings.seconds("engine-exit-after-seconds", &["ENGINE_EXIT_AFTER_SECONDS"])?,
            exit_code: settings.parsed("engine-exit-code", &["ENGINE_EXIT_CODE"])?.unwrap_or(1),
            fault: settings.parsed("engine-fault", &["ENGINE_FAULT"])?.unwrap_or_default(),
        })
    }
}

/// Splits a command line into the model given as a word (after an optional `serve`) and the flags with their values.
fn split(arguments: impl IntoIterator<Item = String>) -> (Option<String>, BTreeMap<String, Vec<String>>) {
    let mut flags: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut positional = None;
    let mut current: Option<String> = None;
    for (index, argument) in arguments.into_iter().enumerate() {
        if let Some(flag) = argument.strip_prefix("--") {
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            // argparse takes --served_model_name as well.
            let name = name.replace('_', "-");
            flags.insert(name.clone(), value.clone().into_iter().collect());
            current = value.is_none().then_some(name);
        } else if let Some(values) = current.as_ref().and_then(|name| flags.get_mut(name)) {
            values.push(argument);
        } else if !(index == 0 && argument == "serve") && positional.is_none() {
            positional = Some(argument);
        }
    }
    (positional, flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment: BTreeMap<String, String> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Config::read(line.split_whitespace().map(str::to_owned), &|name| environment.get(name).cloned())
    }

    #[test]
    fn speaks_the_command_line_of_vllm() {
        let config = read(
            "--model org/m --served-model-name a b --revision main --port 8001 --host 127.0.0.1 --shutdown-timeout 120 \
             --max-model-len=32768 --enforce-eager --tensor-parallel-size 2",
            &[],
        )
        .unwrap();
        assert_eq!(config.model, "org/m");
        assert_eq!(config.served_names, ["a", "b"]);
        assert_eq!((config.host.as_str(), config.port), ("127.0.0.1", 8001));
        assert_eq!(config.shutdown_timeout, Duration::from_mins(2));
        assert_eq!(config.api_key, None);
    }

    #[test]
    fn takes_the_model_as_a_word_with_or_without_serve() {
        for line in ["serve org/m --port 1", "org/m --port 1", "--port=1 org/m"] {
            let config = read(line, &[]).unwrap();
            assert_eq!(config.model, "org/m", "{line}");
            assert_eq!(config.served_names, ["org/m"], "{line}");
            assert_eq!(config.port, 1, "{line}");
        }
    }

    #[test]
    fn a_flag_wins_over_the_environment() {
        let environment = [
            ("VLLM_API_KEY", "from-vllm"),
            ("ROADSTEAD_API_KEY", "from-roadstead"),
            ("ENGINE_STARTUP_SECONDS", "2.5"),
            ("ENGINE_FAULT", "hang"),
            ("ENGINE_TOKENS_PER_SECOND", "100"),
        ];
        let config = read("--engine-fault unhealthy", &environment).unwrap();
        assert_eq!(config.api_key.as_deref(), Some("from-vllm"));
        assert_eq!(config.startup, Duration::from_millis(2500));
        assert_eq!(config.token_interval, Duration::from_millis(10));
        assert_eq!(config.fault, Fault::Unhealthy);
        let config = read("--api-key k", &environment[1..]).unwrap();
        assert_eq!(config.api_key.as_deref(), Some("k"));
        let config = read("", &environment[1..]).unwrap();
        assert_eq!(config.api_key.as_deref(), Some("from-roadstead"));
    }

    #[test]
    fn names_the_setting_that_it_cannot_read() {
        for (line, environment, expected) in [
            ("--port http", vec![], "--port: \"http\""),
            ("", vec![("ENGINE_FAULT", "explode")], "ENGINE_FAULT: \"explode\": expected none"),
            ("--engine-startup-seconds -1", vec![], "--engine-startup-seconds"),
        ] {
            let message = read(line, &environment).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
