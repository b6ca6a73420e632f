//! Partitions: separate parts of AWS with their own names of hosts and ARNs.

/// A partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// The regions that most accounts use.
    Standard,
    /// China.
    China,
    /// AWS `GovCloud` (US).
    UsGov,
}

impl Partition {
    /// The partition of a region.
    #[must_use]
    pub fn of(region: &str) -> Self {
        if region.starts_with("cn-") {
            Self::China
        } else if region.starts_with("us-gov-") {
            Self::UsGov
        } else {
            Self::Standard
        }
    }

    /// Its name in ARNs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "aws",
            Self::China => "aws-cn",
            Self::UsGov => "aws-us-gov",
        }
    }

    /// Base address of a service in a region; `service` is the first part of its host, such as `api.sagemaker`.
    #[must_use]
    pub fn address(self, service: &str, region: &str) -> String {
        let domain = match self {
            Self::Standard | Self::UsGov => "amazonaws.com",
            Self::China => "amazonaws.com.cn",
        };
        format!("https://{service}.{region}.{domain}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_the_hosts_and_arns_of_its_partition() {
        for (region, name, address) in [
            ("eu-west-1", "aws", "https://api.sagemaker.eu-west-1.amazonaws.com"),
            ("cn-north-1", "aws-cn", "https://api.sagemaker.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", "aws-us-gov", "https://api.sagemaker.us-gov-west-1.amazonaws.com"),
        ] {
            let partition = Partition::of(region);
            assert_eq!((partition.name(), partition.address("api.sagemaker", region).as_str()), (name, address));
        }
    }
}
