//! Which versions of a path disagree, and how they are named: `.drift/{server,client,base,merged,resolved}` and `user.drift.*`.
