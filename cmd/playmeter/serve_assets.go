package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// assetsFlag is for those who work on the pages: what they change in web/assets shows at the next request.
func (a *app) assetsFlag(c *cobra.Command) {
	c.Flags().StringVar(&a.assets, "assets", "", "read pages, styles and scripts from `DIR` (such as web/assets) at each request")
	_ = c.Flags().MarkHidden("assets") // cannot fail: the flag is there
}

// openAssets opens that folder; nil: the embedded pages are meant. It must be called before the embedded store changes the
// working directory.
func (a *app) openAssets() (fs.FS, error) {
	if a.assets == "" {
		return nil, nil
	}
	folder, err := filepath.Abs(a.assets)
	if err != nil {
		return nil, fmt.Errorf("--assets %s: %w", a.assets, err)
	}
	if _, err := os.Stat(filepath.Join(folder, "pages", "layout.html")); err != nil {
		return nil, usageError{fmt.Errorf("--assets %s: %w: name the folder web/assets of the sources", a.assets, err)}
	}
	return os.DirFS(folder), nil
}
