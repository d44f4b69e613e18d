package web

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/text/language"
)

// atlas is how "make vendor" has world.json made anew.
var atlas = flag.String("atlas", "", "`FILE` of world-atlas (countries-110m.json) to make web/assets/static/world.json of")

// assetsFolder is found before the object store of the tests changes the working directory.
var assetsFolder, _ = filepath.Abs("assets")

// geoMap is the map as ECharts reads it: GeoJSON (RFC 7946), whose features have the alpha-2 code of their country as a name.
type geoMap struct {
	Type     string       `json:"type"`
	Features []geoFeature `json:"features"`
}

type geoFeature struct {
	Type       string        `json:"type"`
	Properties geoProperties `json:"properties"`
	Geometry   geoGeometry   `json:"geometry"`
}

type geoProperties struct {
	Name  string `json:"name"`
	Title string `json:"title"`
}

type geoGeometry struct {
	Type        string        `json:"type"`
	Coordinates [][][]geoSpot `json:"coordinates"` // polygons, rings, points
}

// geoSpot is longitude and latitude in hundredths of a degree, which is what can be seen.
type geoSpot [2]int

// MarshalJSON writes degrees.
func (s geoSpot) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "[%s,%s]", hundredths(s[0]), hundredths(s[1])), nil
}

// UnmarshalJSON reads degrees.
func (s *geoSpot) UnmarshalJSON(b []byte) error {
	var degrees [2]json.Number
	if err := json.Unmarshal(b, &degrees); err != nil {
		return err
	}
	for i, d := range degrees {
		f, err := d.Float64()
		if err != nil {
			return err
		}
		s[i] = nearest(f * 100)
	}
	return nil
}

func nearest(f float64) int {
	if f < 0 {
		return -int(0.5 - f)
	}
	return int(f + 0.5)
}

func hundredths(n int) string { return trimZeros(sign(int64(n)) + decimal(magnitude(int64(n)), 2)) }

// topology is what is used of the format of world-atlas. Source: the TopoJSON format specification.
type topology struct {
	Transform struct{ Scale, Translate [2]float64 }
	Arcs      [][][2]int
	Objects   struct {
		Countries struct {
			Geometries []struct {
				Type       string
				ID         string
				Properties struct{ Name string }
				Arcs       json.RawMessage
			}
		}
	}
}

// ring is a closed line along arcs; ^n is arc n backwards. Points that coincide once they are rounded are one.
func (t *topology) ring(arcs []int) (points []geoSpot) {
	for _, n := range arcs {
		index := n
		if n < 0 {
			index = ^n
		}
		line := t.arc(index)
		if n < 0 {
			slices.Reverse(line)
		}
		if len(points) > 0 {
			line = line[1:]
		}
		points = append(points, line...)
	}
	return slices.Compact(points)
}

// arc undoes the differences of one.
func (t *topology) arc(index int) (points []geoSpot) {
	var at [2]int
	for _, step := range t.Arcs[index] {
		var spot geoSpot
		for i := range at {
			at[i] += step[i]
			spot[i] = nearest((float64(at[i])*t.Transform.Scale[i] + t.Transform.Translate[i]) * 100)
		}
		points = append(points, spot)
	}
	return points
}

// Half and all of the way round, in hundredths of a degree.
const halfWay, allWay = 180_00, 360_00

// unrolled lets a line that crosses the date line go on beyond it, instead of starting at the other end of the map.
func unrolled(points []geoSpot) []geoSpot {
	for i := 1; i < len(points); i++ {
		for points[i][0]-points[i-1][0] > halfWay {
			points[i][0] -= allWay
		}
		for points[i-1][0]-points[i][0] > halfWay {
			points[i][0] += allWay
		}
	}
	return points
}

// onMap is what of a closed line is on the map once it is turned so often; nil: nothing.
func onMap(points []geoSpot, turn int) []geoSpot {
	var turned []geoSpot
	for _, p := range points {
		turned = append(turned, geoSpot{p[0] + turn*allWay, p[1]})
	}
	turned = clipped(turned, halfWay, func(x int) bool { return x <= halfWay })
	turned = slices.Compact(clipped(turned, -halfWay, func(x int) bool { return x >= -halfWay }))
	if len(turned) < 4 || !slices.ContainsFunc(turned, func(p geoSpot) bool { return p[0] != turned[0][0] }) {
		return nil
	}
	return turned
}

// clipped takes off a closed line what lies beyond a meridian. Source: the algorithm of Sutherland and Hodgman.
func clipped(points []geoSpot, at int, inside func(x int) bool) (left []geoSpot) {
	for i, p := range points {
		if i > 0 && inside(p[0]) != inside(points[i-1][0]) {
			q := points[i-1]
			left = append(left, geoSpot{at, q[1] + (p[1]-q[1])*(at-q[0])/(p[0]-q[0])})
		}
		if inside(p[0]) {
			left = append(left, p)
		}
	}
	if len(left) > 0 && left[0] != left[len(left)-1] {
		left = append(left, left[0])
	}
	return left
}

// worldOf makes the map. Land that no code of its own is common for goes to the country whose code look-ups of addresses
// give; Antarctica is left out.
func worldOf(t *topology) (*geoMap, error) {
	codes := map[string]string{"Kosovo": "XK", "Somaliland": "SO", "N. Cyprus": "CY"}
	polygons := make(map[string][][][]geoSpot)
	for _, g := range t.Objects.Countries.Geometries {
		code := codes[g.Properties.Name]
		if code == "" {
			number, err := strconv.Atoi(g.ID)
			if err != nil {
				return nil, fmt.Errorf("%s has no number: %w", g.Properties.Name, err)
			}
			region, err := language.EncodeM49(number)
			if err != nil {
				return nil, fmt.Errorf("%s has number %d: %w", g.Properties.Name, number, err)
			}
			code = region.String()
		}
		if code == "AQ" {
			continue
		}
		shapes := make([][][]int, 1)
		into := any(&shapes[0])
		if g.Type == "MultiPolygon" {
			into = &shapes
		}
		if err := json.Unmarshal(g.Arcs, into); err != nil {
			return nil, fmt.Errorf("%s: %w", code, err)
		}
		for _, shape := range shapes {
			for turn := -1; turn <= 1; turn++ {
				var rings [][]geoSpot
				for _, arcs := range shape {
					if ring := onMap(unrolled(t.ring(arcs)), turn); ring != nil {
						rings = append(rings, ring)
					}
				}
				if len(rings) > 0 {
					polygons[code] = append(polygons[code], rings)
				}
			}
		}
	}
	world := &geoMap{Type: "FeatureCollection"}
	for code, shapes := range polygons {
		world.Features = append(world.Features, geoFeature{Type: "Feature", Properties: geoProperties{code, countryName(code)}, Geometry: geoGeometry{"MultiPolygon", shapes}})
	}
	slices.SortFunc(world.Features, func(a, b geoFeature) int { return bytes.Compare([]byte(a.Properties.Name), []byte(b.Properties.Name)) })
	return world, nil
}

func TestWorldIsMadeOfItsAtlas(t *testing.T) {
	if *atlas == "" {
		t.Skip("no -atlas: make vendor gives one")
	}
	data, err := os.ReadFile(*atlas)
	if err != nil {
		t.Fatal(err)
	}
	topo := new(topology)
	if err := json.Unmarshal(data, topo); err != nil {
		t.Fatal(err)
	}
	world, err := worldOf(topo)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(world)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(assetsFolder, "static", "world.json"), append(text, '\n'), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestWorldHasTheCountries(t *testing.T) {
	data, err := fs.ReadFile(embeddedAssets(), "static/world.json")
	if err != nil {
		t.Fatal(err)
	}
	var world geoMap
	if err := json.Unmarshal(data, &world); err != nil {
		t.Fatal(err)
	}
	boxes := make(map[string][4]int) // west, south, east, north
	for _, f := range world.Features {
		name := f.Properties.Name
		if _, twice := boxes[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		if _, ok := countryOf(name); !ok || f.Properties.Title != countryName(name) || f.Geometry.Type != "MultiPolygon" {
			t.Errorf("%+v is no country, or is not called so", f.Properties)
		}
		box := [4]int{18000, 9000, -18000, -9000}
		for _, shape := range f.Geometry.Coordinates {
			for _, ring := range shape {
				if len(ring) < 4 || ring[0] != ring[len(ring)-1] {
					t.Errorf("%s has a line of %d points that is not closed", name, len(ring))
				}
				for i, p := range ring {
					box = [4]int{min(box[0], p[0]), min(box[1], p[1]), max(box[2], p[0]), max(box[3], p[1])}
					if i > 0 && max(p[0]-ring[i-1][0], ring[i-1][0]-p[0]) > halfWay {
						t.Errorf("%s has a line across the map, at %v", name, p)
					}
				}
			}
		}
		boxes[name] = box
	}
	for name, spot := range map[string]geoSpot{"DE": {1000, 5100}, "US": {-9800, 3900}, "BR": {-5000, -1000}, "IN": {7800, 2200}, "AU": {13400, -2500},
		"ZA": {2500, -3000}, "JP": {13800, 3600}, "NO": {900, 6100}, "XK": {2090, 4260}, "SO": {4500, 900}, "CY": {3330, 3500}, "RU": {9000, 6000}, "FJ": {17800, -1780}} {
		box, ok := boxes[name]
		if !ok || spot[0] < box[0] || spot[1] < box[1] || spot[0] > box[2] || spot[1] > box[3] {
			t.Errorf("%s is at %v, which is not about %v", name, box, spot)
		}
	}
	if _, ok := boxes["AQ"]; ok || len(boxes) != 174 {
		t.Errorf("%d countries, Antarctica %v; want 174 without it", len(boxes), ok)
	}
}
