#!/bin/sh -e
# Remove what no test needs
rm -rf /usr/share/doc /usr/share/man /usr/share/locale
rm -rf /var/lib/apt/lists
