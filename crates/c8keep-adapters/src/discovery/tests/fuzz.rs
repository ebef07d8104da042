//! A whole installation in which one server or another has lost its mind.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use c8keep_fuzz::{Dice, feed_slowly, mutated};

use super::installation;
use crate::camunda::scene::Scene;
use crate::fuzz::answers::discovered;
use crate::fuzz::now;
use crate::transport::{Request, Response, Transport, TransportError};

#[derive(Debug)]
struct SomeAreMad {
    sane: Scene,
    seed: u64,
}

#[async_trait]
impl Transport for SomeAreMad {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let place = request.url.bytes().fold(self.seed, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
        let mut dice = Dice::new(place);
        let answer = self.sane.send(request).await?;
        // Seldom, so that most of the way is gone with sense.
        if dice.below(5) > 0 {
            return Ok(answer);
        }
        let body = mutated(&answer.body, b"<html>", &mut dice).into();
        Ok(Response { body, ..answer })
    }

    async fn wait(&self, _: Duration) {}
}

#[test]
fn discovering() {
    feed_slowly("discovering", &[b"{}".to_vec()], |input| {
        now(discovered(Arc::new(SomeAreMad { sane: installation(), seed: input.number })))
    });
}
