#!/bin/sh -e
# Build the video tests
git clone --depth=1 git://linuxtv.org/v4l-utils.git /tmp/v4l-utils
cd /tmp/v4l-utils
./bootstrap.sh
./configure --prefix=/usr
make install
