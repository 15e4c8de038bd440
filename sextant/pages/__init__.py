"""What the pages of several parts share: numbers in words, and lines as inline SVG."""
