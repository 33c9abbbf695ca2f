use std::{error::Error, fmt, ops::Deref, sync::Arc};

/// The error beneath an [`Error`](crate::Error), shared so that cloning is cheap.
///
/// It dereferences to that error, which can be downcast to what a layer or connector has failed with, as can the
/// [source](Error::source) that is reached by way of the trait:
///
/// ```
/// use engineio_client::{Error, layers::ExtraHeadersError};
///
/// fn lacks_token(error: &Error) -> bool {
///     matches!(error, Error::Transport { source, .. } if source.is::<ExtraHeadersError>())
/// }
/// ```
pub struct Cause<T: ?Sized = dyn Error + Send + Sync>(Arc<T>);

impl<T: ?Sized> Cause<T> {
    pub(crate) fn new(error: impl Into<Arc<T>>) -> Self {
        Self(error.into())
    }
}

// Not an error itself: it would be the one that is found among the sources, in the place of what it holds.
impl<T: ?Sized> Deref for Cause<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> Clone for Cause<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Cause<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for Cause<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
