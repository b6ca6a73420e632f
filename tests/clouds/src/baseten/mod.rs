//! Baseten: management API, the object store of its uploads, and traffic. One address serves all of them: the object store and the
//! URL of a model are paths below it.

mod deployment;
mod keys;
mod route;
mod rules;
mod settings;
mod upload;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::http::StatusCode;
use serde_json::{Value, json};

use self::deployment::Deployment;
use self::route::{Asked, asked};
pub use self::rules::ALL as RULES;
pub use self::settings::{BasetenInstance, BasetenKey, BasetenSettings, KEY, KeyRights, TEAM_ID, TEAM_NAME};
use self::world::{BasetenAt, BasetenFault, BasetenWorld};
use crate::clock::VirtualClock;
use crate::cloud::{Call, Cloud, Reply, Scripted, ServiceName};
use crate::engines::{Container, Engines, Question};
use crate::faults::Fate;
use crate::rules::Rule;

const MEDIA: &str = "application/json";

/// The service.
pub struct Baseten {
    world: Mutex<BasetenWorld>,
    engines: Engines,
    clock: Arc<VirtualClock>,
}

impl Baseten {
    /// The service with nothing in it.
    #[must_use]
    pub fn new(settings: BasetenSettings, clock: Arc<VirtualClock>) -> Self {
        Self { world: Mutex::new(BasetenWorld::new(settings)), engines: Engines::default(), clock }
    }

    /// Changes the settings from now on.
    pub fn configure(&self, change: impl FnOnce(&mut BasetenSettings)) {
        change(&mut self.world().settings);
    }

    /// Creates `count` models that load; `form` gives name and payload of the one with this number.
    ///
    /// # Errors
    /// The text of a refusal.
    pub fn crowd(&self, count: usize, form: impl Fn(usize) -> (String, Value)) -> Result<(), String> {
        let at = BasetenAt { team: TEAM_ID, fate: &Fate::default(), now: self.clock.millis() };
        let mut world = self.world();
        for number in 0..count {
            let (name, payload) = form(number);
            world.keep(format!("crowd{number:05}"), name, payload, true, at).map_err(|fault| fault.message)?;
        }
        Ok(())
    }

    /// Writes a secret of the team of [`KEY`], as a caller does.
    pub fn write_secret(&self, name: &str) {
        let body = json!({"name": name, "value": "written"});
        self.world().issued.upsert_secret(TEAM_ID, &body, self.clock.millis());
    }

    /// Removes the models of this name at once, as an administrator would. True if there was one.
    pub fn take_away(&self, name: &str) -> bool {
        let mut world = self.world();
        let before = world.models.len();
        world.models.retain(|_, model| model.name != name);
        world.models.len() < before
    }

    /// Puts every active deployment to zero, as the service does where no request comes; returns their number.
    pub fn put_to_zero(&self) -> usize {
        self.world().put_to_zero(self.clock.millis())
    }

    /// Wakes every deployment at zero that production uses, as a request does.
    pub fn wake(&self) {
        self.world().wake(self.clock.millis());
    }

    fn world(&self) -> MutexGuard<'_, BasetenWorld> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The team of a caller that manages ([`rules::KEY`], [`rules::RIGHTS`]).
    fn team(&self, call: &Call) -> Result<String, Box<Reply>> {
        let world = self.world();
        let key = presented(call);
        if world.issued.keys.iter().any(|issued| Some(issued.value.as_str()) == key) {
            return Err(Box::new(refused(StatusCode::FORBIDDEN, "This key is for inference only").by(&rules::RIGHTS)));
        }
        let known = world.settings.keys.iter().find(|known| Some(known.key.as_str()) == key);
        match known {
            Some(known) if known.rights == KeyRights::ManageAll => Ok(known.team.clone()),
            Some(_) => {
                Err(Box::new(refused(StatusCode::FORBIDDEN, "This key is for inference only").by(&rules::RIGHTS)))
            }
            None => Err(Box::new(refused(StatusCode::UNAUTHORIZED, "Invalid API key").by(&rules::KEY))),
        }
    }

    fn manage(&self, call: &Call, asked: &Asked, fate: &Fate) -> Reply {
        let team = match self.team(call) {
            Ok(team) => team,
            Err(refusal) => return *refusal,
        };
        let now = self.clock.millis();
        let at = BasetenAt { team: &team, fate, now };
        let mut world = self.world();
        world.settle(now);
        match act(&mut world, call, asked, at) {
            Ok(answer) => Reply::new(StatusCode::OK, MEDIA, answer.to_string()),
            Err(BasetenFault { status, message, rule }) => refused(status, &message).by(rule),
        }
    }

    /// A request to a model ([`rules::SYNC`], [`rules::GUARD`], [`rules::DRAINED`]).
    async fn traffic(&self, call: &Call, model: &str, path: &str) -> Reply {
        let container = match self.serving(call, model) {
            Ok(container) => container,
            Err(refusal) => return *refusal,
        };
        let (method, body) = (call.method.clone(), call.body.clone());
        let question = Question { method, path: path.to_owned(), authorization: String::new(), body };
        self.engines.ask(model, &container, question).await.by(&rules::SYNC)
    }

    fn serving(&self, call: &Call, model: &str) -> Result<Container, Box<Reply>> {
        let mut world = self.world();
        world.settle(self.clock.millis());
        let key = presented(call);
        let issued = world.issued.keys.iter().any(|one| Some(one.value.as_str()) == key && one.may_call(model));
        if !issued && !world.settings.keys.iter().any(|known| Some(known.key.as_str()) == key) {
            return Err(Box::new(refused(StatusCode::UNAUTHORIZED, "Invalid API key").by(&rules::KEY)));
        }
        let Some(model) = world.models.get(model) else {
            return Err(Box::new(refused(StatusCode::NOT_FOUND, "model not found").by(&rules::NOT_FOUND)));
        };
        let draining =
            || Box::new(refused(StatusCode::SERVICE_UNAVAILABLE, "no active deployment").by(&rules::DRAINED));
        model.serving().map(container).ok_or_else(draining)
    }
}

/// The operation on the things of a key's team ([`rules::TEAM`]).
fn act(world: &mut BasetenWorld, call: &Call, asked: &Asked, at: BasetenAt<'_>) -> Result<Value, BasetenFault> {
    let body = call.json().unwrap_or_default();
    match asked {
        Asked::Teams => {
            let team = |(number, (id, name)): (usize, &(String, String))| json!({"id": id, "name": name, "default": number == 0, "created_at": "2026-01-01T00:00:00Z"});
            let mine = world.settings.teams.iter().enumerate().filter(|(_, (id, _))| id == at.team);
            Ok(json!({"teams": mine.map(team).collect::<Vec<_>>()}))
        }
        Asked::Prices => Ok(world.prices()),
        Asked::Prepare => world.prepare(&body, at),
        Asked::TeamModels(team)
        | Asked::Create(team)
        | Asked::CreateKey(team)
        | Asked::Secrets(team)
        | Asked::UpsertSecret(team)
        | Asked::DeleteSecret(team, _)
            if team != at.team =>
        {
            Err(world::missing("team"))
        }
        Asked::Models | Asked::TeamModels(_) => Ok(world.list(at)),
        Asked::Create(_) => world.create(&body, at),
        Asked::Model(model) => world.model(model, at),
        Asked::DeleteModel(model) => world.delete(model, at),
        Asked::Deployments(model) => world.deployments(model, at),
        Asked::Deploy(model) => world.deploy(model, &body, at),
        Asked::DeleteDeployment(model, id) => world.delete_deployment(model, id, at),
        Asked::Scale(model, id) => world.scale(model, id, &body, at),
        Asked::Activate(model, id) => world.activate(model, id, at),
        Asked::Deactivate(model, id) => world.deactivate(model, id, at),
        Asked::Config(model, id) => world.config(model, id, at),
        Asked::Logs(model, id) => world.logs(model, id, at),
        Asked::Keys => Ok(world.issued.list_keys(at.team)),
        Asked::CreateKey(team) => world.issued.create_key(team, &body, at.now),
        Asked::DeleteKey(prefix) => world.issued.delete_key(at.team, prefix),
        Asked::Secrets(team) => Ok(world.issued.list_secrets(team)),
        Asked::UpsertSecret(team) => Ok(world.issued.upsert_secret(team, &body, at.now)),
        Asked::DeleteSecret(team, name) => world.issued.delete_secret(team, name),
        Asked::Upload(_) | Asked::Traffic(..) | Asked::Unknown => Err(world::missing("route")),
    }
}

/// The key that a caller presents.
fn presented(call: &Call) -> Option<&str> {
    let authorization = call.headers.get("authorization")?.to_str().ok()?;
    authorization.strip_prefix("Bearer ").or_else(|| authorization.strip_prefix("Api-Key "))
}

/// The container of a deployment: the server that its start command names.
fn container(deployment: &Deployment) -> Container {
    let config = &deployment.payload["config"];
    let command = config["docker_server"]["start_command"].as_str().unwrap_or_default();
    let pairs = config["environment_variables"].as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let environment: BTreeMap<String, String> = pairs.map(|(name, value)| (name.clone(), text(value))).collect();
    Container { arguments: server(command), environment }
}

/// Words of the server's command line after its program. A shell's script begins it with `exec`.
fn server(command: &str) -> Vec<String> {
    let mut words: Vec<String> = shlex::Shlex::new(command).collect();
    if words.len() == 3 && words[0] == "sh" && words[1] == "-c" {
        let script = words[2].rsplit("exec ").next().unwrap_or_default().to_owned();
        words = shlex::Shlex::new(&script).collect();
    }
    words.into_iter().skip(1).collect()
}

fn refused(status: StatusCode, message: &str) -> Reply {
    Reply::new(status, MEDIA, json!({"error": message}).to_string()).by(&rules::ENVELOPE)
}

#[async_trait]
impl Cloud for Baseten {
    fn name(&self) -> ServiceName {
        ServiceName::Baseten
    }

    fn operation(&self, call: &Call) -> String {
        asked(call).operation().to_owned()
    }

    async fn answer(&self, call: &Call, _operation: &str, fate: &Fate) -> Reply {
        match asked(call) {
            Asked::Traffic(model, path) => self.traffic(call, &model, &path).await,
            Asked::Upload(key) => self.world().uploads.take(call, &key, self.clock.millis()),
            asked => self.manage(call, &asked, fate),
        }
    }

    fn refusal(&self, _call: &Call, _operation: &str, scripted: &Scripted) -> Reply {
        match scripted {
            Scripted::Error { status, message, .. } => refused(*status, message),
            Scripted::Throttle { after_seconds } => {
                let body =
                    json!({"error": "Rate limit exceeded. Please try again later.", "retry_after": after_seconds});
                Reply::new(StatusCode::TOO_MANY_REQUESTS, MEDIA, body.to_string()).by(&rules::THROTTLED)
            }
            Scripted::Deny => refused(StatusCode::FORBIDDEN, "This key has no right for this").by(&rules::RIGHTS),
        }
    }

    fn state(&self) -> Value {
        self.world().state(self.clock.millis())
    }

    fn rules(&self) -> &'static [&'static Rule] {
        RULES
    }
}

#[cfg(test)]
mod tests {
    use super::server;

    #[test]
    fn a_start_command_is_split_as_a_shell_splits_it() {
        let expected = ["serve", "org/m", "--served-model-name", "my model"];
        assert_eq!(server("vllm serve org/m --served-model-name 'my model'"), expected);
        let script =
            r#"sh -c 'export A="$(cat /secrets/a)"; exec vllm serve org/m --served-model-name '\''my model'\'''"#;
        assert_eq!(server(script), expected);
    }
}
