package configdrive

import (
	"path"
	"strings"
)

// PassedOver says why a box does not use the file of that slash path, for whom it
// is that prepares a stick; "" where it uses it ([Means]), and where nobody needs
// to be told: the operating system or a box has left it there.
func PassedOver(name string) string {
	root, inner, below := strings.Cut(name, "/")
	if lower := strings.ToLower(root); below && (lower == MetadataName || lower == targetsName) {
		return "" // a release has signatures of its own
	}
	if Means(name) || hidden(root) || hidden(path.Base(name)) || written(root) {
		return ""
	}
	if !below {
		if why := nearMiss(name); why != "" {
			return why
		}
	}
	if _, known := placeIn(strings.ToLower(root), inner); below && known {
		return "this name cannot be used; take up to 64 letters, digits, dots, hyphens and underscores, beginning with a letter or digit"
	}
	return "no box looks at a file of this name"
}
