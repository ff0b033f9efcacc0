"""`python -m sandbox.fill REPOSITORY COUNT`: put images into a repository of the running sandbox.

A quarter of them belongs to two-architecture builds, an index and two images each; the others are single images.
"""

from __future__ import annotations

import argparse
import os

from sandbox.control import Control, ControlError

_OF_A_BUILD = 3  # an index, and an image for each of two architectures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.fill", description=__doc__)
    parser.add_argument("repository")
    parser.add_argument("count", type=int, help="how many images to add, at least 1")
    arguments = parser.parse_args()
    url = os.environ.get("AWS_ENDPOINT_URL")
    if arguments.count < 1 or url is None:
        parser.error("give a count of at least 1, and set the exports that `make sandbox` prints")
    control = Control(url)
    builds = arguments.count // 4 // _OF_A_BUILD
    singles = arguments.count - builds * _OF_A_BUILD
    try:
        if control.repository(arguments.repository) is None:
            parser.exit(1, f"There is no repository {arguments.repository} in the sandbox. Create its stack first.\n")
        steps = (("with_images", {"count": singles}), ("with_multi_arch", {"count": builds}))
        held = control.seed(arguments.repository, *steps)["images"]
    except (ControlError, OSError, ValueError) as error:
        parser.exit(1, f"The sandbox at {url} did not take the images: {error}\n")
    print(f"{arguments.repository} holds {held:,} images now.")


if __name__ == "__main__":
    main()
