//! Something that goes on although whoever waits for it may be busy with something else.

use futures::future::{AbortHandle, abortable};
use tokio::sync::oneshot;

use crate::ports::Tasks;

/// What is begun for somebody ends when he does.
struct EndsWithUs(AbortHandle);

impl Drop for EndsWithUs {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Does it in a task of its own, which ends when nobody waits for it any more; none if it was broken off.
pub(super) async fn beside<T: Send + 'static>(
    tasks: &dyn Tasks,
    doing: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let (doing, abort) = abortable(doing);
    let (tell, told) = oneshot::channel();
    let _ends_with_us = EndsWithUs(abort);
    tasks.spawn(Box::pin(async move {
        if let Ok(done) = doing.await {
            // Nobody may be waiting any more.
            let _ = tell.send(done);
        }
    }));
    told.await.ok()
}
