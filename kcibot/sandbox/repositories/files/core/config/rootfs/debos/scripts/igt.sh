#!/bin/sh -e
# Build the graphics tests
git clone --depth=1 https://gitlab.freedesktop.org/drm/igt-gpu-tools.git /tmp/igt
cd /tmp/igt
meson build -Dprefix=/usr
ninja -C build install
