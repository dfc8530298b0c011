use super::launch::{Mounting, Ready, StartError};
pub enum Output {
    Log,
    Terminal,
}
pub struct Running;
impl Running {
    pub fn ready(&self) -> Ready {
        todo!()
    }
    pub fn until_end(self) {}
}
pub fn start(_m: &Mounting, _o: Output) -> Result<Running, StartError> {
    todo!()
}
