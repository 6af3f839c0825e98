//! Names, texts and places that mean harm.
