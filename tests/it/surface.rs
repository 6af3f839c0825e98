//! What the project promises about itself: pages, completions, floors.
