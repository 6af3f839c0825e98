//! A file for each mechanism, named as in `src/mech`.
