//! How our changes and the lower become one: scan -> plan -> brake -> stage -> apply -> report.
