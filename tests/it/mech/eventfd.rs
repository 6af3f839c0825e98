use super::*;
use crate::kit::eventfd;

#[test]
fn counters_that_share_an_inode_are_told_apart() {
    let env = Env::new();
    let (plain, semaphore) = (eventfd(31, 0), eventfd(7, libc::EFD_SEMAPHORE));
    let document = env.json(["ls", "eventfd", "--json"]);
    let of = |fd: &std::os::fd::OwnedFd| {
        let all = document["objects"].as_array().unwrap();
        let ours = |object: &&Value| {
            let ends = object["processes"].as_array().unwrap();
            ends.iter().any(|end| end["pid"] == std::process::id() && end["fd"] == fd.as_raw_fd())
        };
        all.iter().find(ours).unwrap_or_else(|| panic!("{document:#}")).clone()
    };
    assert_eq!((&of(&plain)["count"], &of(&plain)["semaphore"]), (&31.into(), &false.into()));
    assert_eq!((&of(&semaphore)["count"], &of(&semaphore)["semaphore"]), (&7.into(), &true.into()));
    let reference = of(&plain)["ref"].as_str().unwrap().to_owned();
    assert_ne!(reference, of(&semaphore)["ref"].as_str().unwrap());
    assert_eq!(env.json(["show", &reference, "--json"])["objects"][0]["count"], 31);
    assert_eq!(of(&plain)["uid"], Value::Null);
}
