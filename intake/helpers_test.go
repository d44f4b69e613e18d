package intake

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// body is a post of n events of a node.
func body(node string, from, n int) io.Reader {
	var b bytes.Buffer
	for i := from; i < from+n; i++ {
		at := time.Date(2026, 10, 14, 9, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second)
		fmt.Fprintf(&b, `{"node_id":%q,"seq":%d,"time":%q,"kind":"playout","object_id":"iq__a","bytes":1000,"duration_us":2000000,"track":"video","width":1920,"height":1080,"session_id":"s%d","client_ip":"10.0.0.%d","user_agent":"Mozilla/5.0 (X11; Linux x86_64)","segment":%d}`+"\n",
			node, i, at.Format(time.RFC3339), i/50, i%250, i%50)
	}
	return &b
}
