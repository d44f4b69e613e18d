package main

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/playmeter/playmeter/crypto"
)

// configDecoder fills settings from a YAML document. It goes on after a
// mistake, which the library's own decoder does not.
type configDecoder struct {
	*notes
	env        map[string]string
	anchors    map[string]ast.Node
	referenced map[string]bool // names that ${…} asked for
	secrets    []string        // settings that hold a secret as plain text
	depth      int
}

// nodeDecoder is a setting that takes more than one form.
type nodeDecoder interface {
	decodeNode(d *configDecoder, path string, n ast.Node)
}

// document decodes a whole file. An empty one changes nothing.
func (d *configDecoder) document(data []byte, into any) {
	file, err := parseYAML(data)
	if err != nil {
		d.syntax(err)
		return
	}
	if len(file.Docs) > 1 && file.Docs[1].Body != nil {
		d.problemAt(firstLine(file.Docs[1].Body), "holds a second document after ---; write all settings into one")
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return
	}
	ast.Walk(anchorFinder(d.anchors), file.Docs[0].Body)
	d.decode("", file.Docs[0].Body, into)
}

// parseYAML parses, and turns a panic of the parser into an error.
func parseYAML(data []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("is no YAML that can be read")
		}
	}()
	if nesting(data) > maxNesting {
		return nil, fmt.Errorf("has more than %d brackets inside of each other", maxNesting)
	}
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

// maxNesting bounds what the parser is given: its time grows with the square.
const maxNesting = 100

// nesting is how many brackets are open at most.
func nesting(data []byte) int {
	open, most := 0, 0
	for _, c := range data {
		switch c {
		case '[', '{':
			open++
			most = max(most, open)
		case ']', '}':
			open = max(open-1, 0)
		}
	}
	return most
}

// syntax notes an error of the parser. Its own text would quote the file,
// secrets included.
func (d *configDecoder) syntax(err error) {
	var syntax *yaml.SyntaxError
	switch {
	case !errors.As(err, &syntax):
		d.problem("", "%v", err)
	case syntax.Token == nil || syntax.Token.Position == nil:
		d.problem("", "is no YAML: %s", syntax.Message)
	default:
		d.problemAt(syntax.Token.Position.Line, "is no YAML: %s", syntax.Message)
	}
}

type anchorFinder map[string]ast.Node

func (a anchorFinder) Visit(n ast.Node) ast.Visitor {
	if anchor, ok := n.(*ast.AnchorNode); ok && anchor.Name != nil && anchor.Value != nil {
		a[anchor.Name.GetToken().Value] = anchor.Value
	}
	return a
}

// maxDepth is deeper than any setting; a document that refers to itself ends there.
const maxDepth = 20

// decode fills the setting at a path from a node.
func (d *configDecoder) decode(path string, n ast.Node, into any) {
	if d.depth++; d.depth > maxDepth {
		d.problem(path, "is nested too deeply")
	} else if n = d.plain(path, n); n != nil {
		d.plainNode(path, n, reflect.ValueOf(into).Elem())
	}
	d.depth--
}

func (d *configDecoder) plainNode(path string, n ast.Node, v reflect.Value) {
	into := v.Addr().Interface()
	switch t := into.(type) {
	case nodeDecoder:
		t.decodeNode(d, path, n)
		return
	case *netip.Prefix, *Day, *Switch: // structures that are written as one text
		d.scalar(path, n, into)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(path, n, v)
	case reflect.Slice:
		d.sequence(path, n, v)
	default:
		d.scalar(path, n, into)
	}
}

// plain takes anchors, aliases and tags off a node. It is nil where nothing
// is given.
func (d *configDecoder) plain(path string, n ast.Node) ast.Node {
	for range maxDepth {
		switch t := n.(type) {
		case nil, *ast.NullNode:
			return nil
		case *ast.AnchorNode:
			n = t.Value
		case *ast.TagNode:
			n = t.Value
		case *ast.AliasNode:
			name := ""
			if t.Value != nil {
				name = t.Value.GetToken().Value
			}
			target, ok := d.anchors[name]
			if !ok {
				d.problem(path, "*%s refers to nothing", name)
				return nil
			}
			n = target
		default:
			return n
		}
	}
	d.problem(path, "refers to itself")
	return nil
}

func isMapping(n ast.Node) bool {
	_, ok := pairsOf(n)
	return ok
}

func pairsOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch t := n.(type) {
	case *ast.MappingNode:
		return t.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{t}, true
	}
	return nil, false
}

func (d *configDecoder) mapping(path string, n ast.Node, v reflect.Value) {
	pairs, ok := pairsOf(n)
	if !ok {
		d.problem(path, "must hold settings: %s", alternatives(fieldNames(v.Type())))
		return
	}
	for _, pair := range pairs {
		name := pair.Key.GetToken().Value
		key := strings.TrimPrefix(path+"."+name, ".")
		before, twice := d.places[key]
		d.note(key, pair.Key.GetToken().Position.Line)
		field, ok := fieldByName(v, name)
		switch {
		case !ok:
			d.problem(key, "is not a setting%s", didYouMean(name, fieldNames(v.Type())))
		case twice:
			d.problem(key, "is given twice, first in line %d", before.line)
		default:
			d.decode(key, pair.Value, field.Addr().Interface())
		}
	}
}

func (d *configDecoder) sequence(path string, n ast.Node, v reflect.Value) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		d.problem(path, "must be a list; begin each entry with - or write [a, b]")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
	for i, item := range list.Values {
		key := fmt.Sprintf("%s[%d]", path, i)
		if item != nil && item.GetToken() != nil {
			d.note(key, firstLine(item))
		}
		d.decode(key, item, v.Index(i).Addr().Interface())
	}
}

// firstLine is where a node begins; a mapping's own token is its first colon.
func firstLine(n ast.Node) int {
	if pairs, ok := pairsOf(n); ok && len(pairs) > 0 {
		return pairs[0].Key.GetToken().Position.Line
	}
	return n.GetToken().Position.Line
}

// scalar sets a setting that is one text.
func (d *configDecoder) scalar(path string, n ast.Node, into any) {
	text, ok := textOf(n)
	if !ok {
		d.problem(path, "must be a single value")
		return
	}
	expanded, ok := d.expand(path, text)
	if !ok {
		return
	}
	if _, secret := into.(*crypto.Secret); secret && expanded == text && text != "" {
		d.secrets = append(d.secrets, path)
	}
	if _, err := setText(into, expanded); err != nil {
		d.problem(path, "%v", err)
	}
}

func textOf(n ast.Node) (string, bool) {
	switch t := n.(type) {
	case *ast.StringNode:
		return t.Value, true
	case *ast.LiteralNode:
		return strings.TrimSuffix(t.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

var reference = regexp.MustCompile(`\$?\$\{([^}]*)\}`)

// expand puts the environment's texts in the place of ${NAME}. It reports
// false, and notes why, where a name is not set.
func (d *configDecoder) expand(path, text string) (string, bool) {
	ok := true
	text = reference.ReplaceAllStringFunc(text, func(ref string) string {
		if strings.HasPrefix(ref, "$$") {
			return ref[1:]
		}
		name := ref[2 : len(ref)-1]
		d.referenced[name] = true
		value, set := d.env[name]
		if !set {
			ok = false
			d.problem(path, "${%s} is not set in the environment; set it, or write $${%s} for the text itself", name, name)
		}
		return value
	})
	return text, ok
}
