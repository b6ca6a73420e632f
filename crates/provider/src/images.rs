//! Copies of images in a registry that a place can pull from.

use roadstead_api::v1alpha1::ImageMirror;

/// The image as a place pulls it: by the mirror whose source is the longest that fits.
#[must_use]
pub fn mirrored(image: &str, mirrors: &[ImageMirror]) -> String {
    let fitting = mirrors.iter().filter(|mirror| image.starts_with(&mirror.source));
    let longest = fitting.max_by_key(|mirror| mirror.source.len());
    longest.map_or_else(
        || image.to_owned(),
        |mirror| format!("{}{}", mirror.mirror, image.strip_prefix(&mirror.source).unwrap_or_default()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_source_that_fits_is_replaced() {
        let mirror = |source: &str, mirror: &str| ImageMirror { source: source.to_owned(), mirror: mirror.to_owned() };
        let mirrors = [mirror("vllm/", "registry.example/any/"), mirror("vllm/vllm-openai", "registry.example/vllm")];
        assert_eq!(mirrored("vllm/vllm-openai:v0.20.0", &mirrors), "registry.example/vllm:v0.20.0");
        assert_eq!(mirrored("vllm/other:1", &mirrors), "registry.example/any/other:1");
        assert_eq!(mirrored("other:1", &mirrors), "other:1");
    }
}
