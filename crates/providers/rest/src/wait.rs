//! Waits for short operations, within one call of the core.

use std::time::Duration;

use roadstead_provider::{ErrorClass, ProviderError};

/// Looks at something that an operation makes within one call, and the pauses between them: ten seconds in all.
const LOOKS: [Duration; 8] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(600),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
    Duration::from_secs(3),
];

/// Waits until something that an operation makes is there.
///
/// # Errors
/// The failure of a look; `Transient` if it takes longer.
pub async fn wait_for<T, L>(title: &str, what: &str, look: impl Fn() -> L + Send) -> Result<T, ProviderError>
where
    L: Future<Output = Result<Option<T>, ProviderError>> + Send,
{
    let mut pauses = LOOKS.into_iter();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        let Some(pause) = pauses.next() else { break };
        tokio::time::sleep(pause).await;
    }
    Err(ProviderError::new(ErrorClass::Transient, format!("{title} has not created {what} yet")))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_waited_for_ten_seconds_and_no_longer() {
        let looks = AtomicUsize::new(0);
        let third = || async { Ok((looks.fetch_add(1, Ordering::SeqCst) == 2).then_some("model")) };
        assert_eq!(wait_for("Vertex AI", "model a", third).await, Ok("model"));
        let never = wait_for::<(), _>("Vertex AI", "model a", || async { Ok(None) }).await.unwrap_err();
        assert!(never.class == ErrorClass::Transient && never.message.contains("model a"), "{never}");
        assert_eq!(LOOKS.into_iter().sum::<Duration>(), Duration::from_secs(10));
    }

    #[tokio::test]
    async fn a_look_that_fails_ends_the_wait() {
        let refused = ProviderError::new(ErrorClass::Unauthorized, "no");
        let answer = wait_for::<(), _>("Vertex AI", "model a", || async { Err(refused.clone()) }).await;
        assert_eq!(answer, Err(refused.clone()));
    }
}
