package sample

import "fmt"

// Node is a server of the invented platform.
type Node struct{ ID, Host, IP, Region string }

// Nodes are the servers, of four regions.
func Nodes() []Node { return nodes }

var nodes = []Node{
	newNode("fra1", "192.0.2.11", "eu-west-north"),
	newNode("fra2", "192.0.2.12", "eu-west-north"),
	newNode("mad1", "192.0.2.31", "eu-west-south"),
	newNode("iad1", "192.0.2.51", "us-east"),
	newNode("iad2", "2001:db8:51::12", "us-east"),
	newNode("sjc1", "192.0.2.71", "us-west"),
	newNode("sin1", "192.0.2.91", "ap-southeast"),
}

func newNode(name, ip, region string) Node {
	return Node{"inod" + base58(bytesOf("node " + name)[:20]), name + ".media.example.net", ip, region}
}

// troubled tells whether a node is failing in an hour of the month: one bad
// evening, and two short bad moments.
func troubled(node, hour int) bool {
	return node == 1 && (hour == 16*24+19 || hour == 16*24+20) || node == 4 && hour == 8*24+2 || node == 6 && hour == 22*24+11
}

// city is a place where people watch. Its node is the nearest; offset is from
// UTC, in hours.
type city struct {
	country, region, name string
	node, offset          int
	weight                float64
}

var cities = []city{
	{"DE", "Berlin", "Berlin", 0, 2, 9}, {"DE", "Bavaria", "Munich", 0, 2, 6}, {"DE", "Hamburg", "Hamburg", 0, 2, 4},
	{"GB", "England", "London", 1, 1, 10}, {"GB", "Scotland", "Glasgow", 1, 1, 3}, {"NL", "North Holland", "Amsterdam", 0, 2, 4},
	{"SE", "Stockholm County", "Stockholm", 0, 2, 3}, {"PL", "Mazovia", "Warsaw", 0, 2, 3}, {"FR", "Île-de-France", "Paris", 1, 2, 6},
	{"ES", "Madrid", "Madrid", 2, 2, 6}, {"ES", "Catalonia", "Barcelona", 2, 2, 4}, {"PT", "Lisbon", "Lisbon", 2, 1, 2},
	{"IT", "Lombardy", "Milan", 2, 2, 4}, {"MA", "Casablanca-Settat", "Casablanca", 2, 1, 1},
	{"US", "New York", "New York", 3, -4, 11}, {"US", "Massachusetts", "Boston", 3, -4, 3}, {"US", "Illinois", "Chicago", 4, -5, 5},
	{"US", "Texas", "Austin", 4, -5, 3}, {"CA", "Ontario", "Toronto", 4, -4, 4}, {"BR", "São Paulo", "São Paulo", 4, -3, 4},
	{"US", "California", "Los Angeles", 5, -7, 7}, {"US", "Washington", "Seattle", 5, -7, 3}, {"MX", "Mexico City", "Mexico City", 5, -6, 3},
	{"SG", "", "Singapore", 6, 8, 3}, {"JP", "Tokyo", "Tokyo", 6, 9, 4}, {"AU", "New South Wales", "Sydney", 6, 10, 3}, {"IN", "Maharashtra", "Mumbai", 6, 5, 4},
}

// Tenant is a customer of the invented platform.
type Tenant struct{ ID, Name, Library string }

// Tenants are the three customers: a library of films, a network of sports,
// an archive of a museum. Their ids are the same for every seed and period.
func Tenants() []Tenant {
	var all []Tenant
	for _, b := range businesses {
		all = append(all, b.Tenant)
	}
	return all
}

// business is a tenant and how its viewers behave.
type business struct {
	Tenant
	share    float64 // of the month's events
	objects  int
	site     string
	day      [24]float64 // activity by local hour
	weekend  float64     // activity of Saturday and Sunday
	sessions float64     // share of views that carry a session id
}

var businesses = []*business{
	{newTenant("films", "Lantern Film Library"), 0.46, 140, "https://watch.lanternfilms.example.com", evening, 1.45, 0.97},
	{newTenant("sports", "Touchline Sports Network"), 0.38, 110, "https://live.touchline.example.org", allDay, 1.7, 0.85},
	{newTenant("museum", "Meridian Museum Archive"), 0.16, 180, "https://archive.meridian-museum.example.org", schoolDay, 0.7, 0.25},
}

func newTenant(name, title string) Tenant {
	b := bytesOf("tenant " + name)
	return Tenant{"iten" + base58(b[:20]), title, "ilib" + base58(bytesOf("library " + name)[:20])}
}

var (
	evening   = [24]float64{2.2, 1.1, .5, .3, .2, .2, .3, .6, .8, .9, 1.0, 1.1, 1.4, 1.5, 1.5, 1.6, 1.9, 2.4, 3.2, 4.4, 5.6, 6.0, 5.2, 3.6}
	allDay    = [24]float64{1.2, .7, .4, .3, .3, .4, .8, 1.4, 1.7, 1.7, 1.8, 2.0, 2.6, 2.5, 2.4, 2.6, 2.9, 3.2, 3.6, 4.0, 4.1, 3.6, 2.8, 1.9}
	schoolDay = [24]float64{.3, .2, .1, .1, .1, .1, .3, .9, 2.4, 4.0, 4.4, 4.2, 2.6, 3.4, 4.0, 3.2, 2.0, 1.6, 1.6, 1.8, 1.7, 1.3, .9, .5}
)

// activity is how much a business has to do in a city in an hour of the month.
func (b *business) activity(c city, hour, weekday int) float64 {
	local := hour%24 + c.offset
	day := weekday + hour/24 + floorDiv(local, 24)
	w := b.day[(local+24)%24] * c.weight
	if d := (day%7 + 7) % 7; d == 0 || d == 6 {
		w *= b.weekend
	}
	return w
}

func floorDiv(a, b int) int {
	if a < 0 {
		return (a - b + 1) / b
	}
	return a / b
}

// viewer is someone who watches, the same person whenever asked for.
type viewer struct {
	city                                          city
	ip, agent, user, email, identity, addr, token string
	device                                        device
}

// viewerOf makes the n-th viewer of a business in a city.
func (m *Month) viewerOf(b int, place int, n uint64) viewer {
	d := roll(m.seed, 11, uint64(b), uint64(place), n)
	v := viewer{city: cities[place], device: devices[d.choose(deviceWeights)]}
	v.agent = v.device.agent(d)
	v.ip = address(d)
	id := d.Uint64()
	switch b {
	case 0:
		v.user = fmt.Sprintf("u-%06d", id%1_000_000)
		v.email = fmt.Sprintf("%s.%s%d@example.com", pick(d, firstNames), pick(d, lastNames), id%97)
	case 1:
		v.addr = fmt.Sprintf("0x%x", bytesOf("wallet", id)[:20])
		if d.chance(0.3) {
			v.email = fmt.Sprintf("%s%d@example.org", pick(d, lastNames), id%997)
		}
		v.token = fmt.Sprintf("tkn.%x", bytesOf("token", id)[:16])
	default:
		if d.chance(0.2) {
			v.identity = fmt.Sprintf("school-%02d", id%40)
		}
	}
	return v
}

// address is one of the ranges for documentation that no node uses.
func address(d dice) string {
	switch x := d.Float64(); {
	case x < 0.35:
		return fmt.Sprintf("198.51.100.%d", d.between(1, 254))
	case x < 0.7:
		return fmt.Sprintf("203.0.113.%d", d.between(1, 254))
	}
	return fmt.Sprintf("2001:db8:%x:%x::%x", d.between(0x100, 0xfff), d.between(0, 0xffff), d.between(1, 0xffff))
}

var (
	firstNames = []string{"anna", "ben", "chiara", "david", "elif", "farid", "grace", "hiro", "ines", "jonas", "kemi", "lucia", "maria", "noah", "olga", "priya", "quentin", "rosa", "sven", "tomas", "uma", "vera", "wei", "yusuf", "zoe"}
	lastNames  = []string{"albrecht", "baker", "costa", "dubois", "eriksen", "fischer", "garcia", "haddad", "ito", "jansen", "kowalski", "lopez", "moreau", "nakamura", "okafor", "patel", "quist", "rossi", "silva", "tanaka", "ueda", "vargas", "weber", "young", "zhang"}
)
