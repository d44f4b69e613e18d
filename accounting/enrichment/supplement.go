package enrichment

// noModel as a rule's model means that such agents name none.
const noModel = "-"

// rule is a line of the supplement: agents that match are such devices. An
// empty platform, os or model is left to the parser; the model is a template of the match.
type rule struct{ match, platform, os, model string }

// supplement names what parsers of user agents miss: televisions, boxes,
// sticks, consoles, players inside of apps, and machines. The first rule that
// matches counts. Expressions are RE2, so no agent can make one slow.
var supplement = []rule{
	// Machines. CUBOT makes phones.
	{`CUBOT`, "", "", ""},
	{`^(ELB-HealthChecker|kube-probe|GoogleHC|GoogleStackdriverMonitoring|Prometheus|[Bb]lackbox|Consul Health|Envoy/HC|HAProxy|` +
		`Amazon-Route53-Health|Amazon CloudFront|check_http|NewRelicPinger|Zabbix|Icinga|Nagios|Varnish|Site24x7|Datadog|Uptime|` +
		`LoadBalancerAgent|SLBHealthCheck|Better Uptime|Monit/|Akamai|Fastly)`, "bot", "other", noModel},
	{`(?i)(UptimeRobot|Pingdom|StatusCake|HeadlessChrome|PhantomJS|Chrome-Lighthouse|Puppeteer|Playwright|Selenium|` +
		`facebookexternalhit|meta-externalagent|WhatsApp/|TelegramBot|Slackbot|Discordbot|Mediapartners-Google|Google-Read-Aloud|` +
		`GoogleOther|APIs-Google|BingPreview|Bytespider|ia_archiver|archive\.org|heritrix|Scrapy|crawler|spider\b|Yahoo! Slurp|` +
		`\bYeti/|Google Favicon|feedfetcher|masscan|zgrab|Nmap|Nessus|nuclei|GPTBot|ChatGPT-User|PTST/)`, "bot", "other", noModel},
	{`(?i)[a-z]bot(?:[/;,) \-]|$)|\bbot[/;)]|\bbot\b.{0,40}\+?https?://`, "bot", "other", noModel},
	{`^(curl|libcurl|Wget|HTTPie|PostmanRuntime|insomnia|python-requests|Python-urllib|python-httpx|Python/|aiohttp|Go-http-client|` +
		`axios|node-fetch|undici|got |Java/|Java-http-client|Apache-HttpClient|Jakarta|libwww-perl|lwp-|Ruby|Faraday|PHP/|GuzzleHttp|` +
		`k6/|hey/|wrk|vegeta|Apache-JMeter|ApacheBench|Siege|aria2|WinHTTP|Microsoft-CryptoAPI|PowerShell|rclone|aws-cli|aws-sdk|Boto3|MinIO)`, "bot", "other", noModel},

	// Consoles.
	{`(?i)PlayStation[ _]?(Vita|Portable|\d)`, "console", "PlayStation", "PlayStation $1"},
	{`\b(PS[345])(?:[ /;)_]|$)`, "console", "PlayStation", "$1"},
	{`PlayStation|PSP \(`, "console", "PlayStation", noModel},
	{`(Xbox (?:Series [XS]|One(?: [XS])?|360))`, "console", "Xbox", "$1"},
	{`Xbox`, "console", "Xbox", "Xbox"},
	{`(?i)Nintendo (Switch(?: 2)?|Wii ?U|Wii|3DS|New 3DS|DSi)`, "console", "other", "$1"},
	{`Nintendo`, "console", "other", noModel},

	// Roku, and Apple's players, which name the device first.
	{`Roku ?TV`, "tv", "Roku OS", noModel},
	{`Roku.{0,30}\((\d{4}[A-Z])`, "settop", "Roku OS", "$1"},
	{`\bRoku`, "settop", "Roku OS", noModel},
	{`\b(AppleTV\d+,\d+)`, "settop", "tvOS", "$1"},
	{`(?i)Apple ?TV|\btvOS`, "settop", "tvOS", "Apple TV"},
	{`\bHomePod|AudioAccessory`, "other", "other", "HomePod"},
	{`\bwatchOS|Apple Watch|\bWatch\d+,\d`, "other", "other", "Apple Watch"},
	{`RealityDevice|\bvisionOS|xrOS`, "other", "other", "Apple Vision"},
	{`\b(iPad\d+,\d+)`, "tablet", "iPadOS", "$1"},
	{`\b(iPhone\d+,\d+)`, "phone", "iOS", "$1"},
	{`\biPadOS|\(iPad\b|\biPad;`, "tablet", "iPadOS", "iPad"},
	{`^AppleCoreMedia/.{0,40}\(Macintosh|^AppleCoreMedia/.{0,40}\(Mac\b`, "desktop", "macOS", "Mac"},
	{`\bmacOS[ /]|CFNetwork/.{0,60}\((?:x86_64|arm64)\)`, "desktop", "macOS", "Mac"},

	// Amazon: televisions and sticks, tablets, speakers with a screen.
	{`\bAFT[A-Z0-9]+.{0,200}(?:FireTV ?Edition|Edition\b)`, "tv", "Fire OS", ""},
	{`\b(AFT[A-Z0-9]{1,12})\b`, "settop", "Fire OS", "$1"},
	{`(?i)Fire ?TV\b|FireTVStick|AmazonWebAppPlatform`, "settop", "Fire OS", noModel},
	{`\b(AEO[A-Z]{2,5})\b`, "other", "Fire OS", "$1"},
	{`(?:Android|Silk).{0,80}\b(KF[A-Z0-9]{2,7})\b`, "tablet", "Fire OS", "$1"},
	{`Kindle Fire|Silk-Accelerated|\bSilk/`, "tablet", "Fire OS", noModel},

	// Televisions by their systems. VIZIO and Hisense call themselves Chromecasts too.
	{`(?i)vizio|SmartCast`, "tv", "other", "VIZIO SmartCast"},
	{`(?i)\bVIDAA\b`, "tv", "other", "VIDAA"},
	{`Web0S.{0,200}\b([0-9]{2}[A-Z]{2,6}[0-9A-Z]{2,10}(?:-[A-Z0-9]{1,4})?)\b`, "tv", "webOS", "$1"},
	{`(?i)Web0S|webOS[. /]?TV|\bLG.{0,40}webOS|webOS.{0,80}(?:LGE|SmartTV|SMART-TV|Large Screen)`, "tv", "webOS", noModel},
	{`hpwOS.{0,80}(TouchPad)`, "tablet", "webOS", "$1"},
	{`webOS/[12]\.\d.{0,300}\b(Pre|Pixi|Veer)/`, "phone", "webOS", "$1"},
	{`NetCast|LG Browser|LG-TV`, "tv", "other", noModel},
	{`Tizen.{0,200}\b(SM-R[0-9A-Z]+)`, "other", "Tizen", "$1"},
	{`Tizen.{0,200}\b(SM-Z[0-9A-Z]+)`, "phone", "Tizen", "$1"},
	{`(?i)Tizen.{0,200}Family ?Hub|FamilyHub.{0,200}Tizen`, "other", "Tizen", "Family Hub"},
	{`Tizen`, "tv", "Tizen", noModel},
	{`Samsung; ?(SmartTV[^;)]{1,30});`, "tv", "other", "$1"},
	{`(?i)Maple[ _2]|SmartHub|SMART-TV; SAMSUNG|Samsung;SmartTV`, "tv", "other", noModel},

	// Chromecasts, and speakers and screens that cast.
	{`CrKey.{0,200}DeviceType/(?:SmartSpeaker|SmartDisplay)|Fuchsia.{0,200}CrKey`, "other", "other", "Nest"},
	{`CrKey.{0,200}DeviceType/AndroidTV|Android.{0,300}CrKey`, "settop", "Android TV", "Chromecast"},
	{`CrKey`, "settop", "other", "Chromecast"},

	// Android TV. Boxes and sticks first, then sets.
	{`SHIELD Tablet`, "tablet", "Android", "SHIELD Tablet"},
	{`(SHIELD(?: Android TV)?)`, "settop", "Android TV", "$1"},
	{`(?i)Android.{0,80}?(Nexus Player|Chromecast(?: HD)?|Google TV Streamer|ADT-[123]|MIBOX[0-9A-Z]*|Mi ?Box(?: \w+)?|MiTV-?(?:Stick|MFTR0|AYFR0|AZFR0)\w*|` +
		`onn[. ][^;)]{1,40}?|(?:Nokia )?Streaming (?:Box|Stick) \d+|Freebox[^;)]{0,20}?|Bbox[^;)]{0,20}?|` +
		`X96[^;)]{0,12}?|H96[^;)]{0,12}?|T95[^;)]{0,12}?|STB[^;)]{0,20}?|ZTE B\d{3}\w*|DIW\d{3,4}\w*|Sagemcom[^;)]{0,20}?|` +
		`SkyWorth[^;)]{0,12}STB|Vodafone TV[^;)]{0,12}?|UIW\d+\w*|DV\d{4}\w*|Smart Box[^;)]{0,12}?|4K STB)(?: Build|[;)/])`, "settop", "Android TV", "$1"},
	{`Android.{0,80}(BRAVIA[^;)/]{0,30}?)(?: Build|[;)/])`, "tv", "Android TV", "$1"},
	{`Android.{0,60}; ((?:MiTV|MITV|Mi TV|AOSP TV|Smart ?TV|Google ?TV|TPM\d|PHILIPS|Philips|TCL .{0,12}TV|TCL Android TV|Hisense|HISENSE|AQUOS-TV|AQUOS TV|Skyworth|SKYWORTH|Toshiba TV|Xiaomi TV|OnePlus TV|realme TV|Haier|Panasonic TV|JVC|KONKA|CHiQ|CooCaa)[^;)]{0,30}?)(?: Build|[;)])`, "tv", "Android TV", "$1"},
	{`(?i)Android.{0,200}(?:\bSTB\b|set-?top)`, "settop", "Android TV", ""},
	{`(?i)Android ?TV|Google ?TV|Android.{0,200}(?:Smart-?TV|Large Screen|HbbTV|\bATV\b|\bTV\b)`, "tv", "Android TV", ""},

	// Boxes of operators.
	{`(?i)Nokia Streaming`, "settop", "Android TV", noModel},
	{`(?i)\b(SkyQ|Sky[ _]?(?:Q|STB|Glass|Puck|Box)[^;) ]{0,12})|NOW ?TV`, "settop", "other", "$1"},
	{`(?i)Comcast|Xfinity|\bXumo|\bRDK|AX061AEI|PX022AN|SX022AN|\bWPE\b.{0,80}(?:STB|ARRIS|Technicolor)`, "settop", "other", noModel},
	{`(?i)\b(EOSSTB|EOS-?STB|HorizonSTB|TiVo|DIRECTV|Foxtel|Humax|ARRIS|Technicolor|Pace |Mediaroom|MediaFirst|Swisscom|Infomir|MAG\d{3}|` +
		`Dreambox|Enigma2|Formuler|Sagemcom|Samsung STB|Cisco STB|Motorola STB|Amino|Evo Box|Kaon)`, "settop", "other", "$1"},
	{`(?i)\bSTB\b|set-?top|InettvBrowser/[\d.]+ \([^)]{0,40}STB`, "settop", "other", noModel},

	// Televisions that speak a broadcaster's profile, and the rest of them.
	{`HbbTV/[\d.]+ ?\([^;)]*; ?[^;)]*; ?([A-Za-z0-9][A-Za-z0-9 _.\-]{2,40});`, "tv", "other", "$1"},
	{`HbbTV|CE-HTML|OITF`, "tv", "other", noModel},
	{`(?i)SMART-?TV|\bViera|\bAQUOS|NETTV|InettvBrowser|Opera TV|\bOTV|Vewd|DTV[A-Z0-9 ]{0,20}Browser|AppleWebKit.{0,80}\bTV Safari|\bBRAVIA|` +
		`\bTitanOS|\bTitan ?OS|Philips.{0,30}TV|Whale ?TV|Zeasn|\bSRAF|\bSharp.{0,20}TV|Toshiba.{0,20}TV|Panasonic.{0,20}TV|GoogleTV|SonyDTV|\bTV;`, "tv", "other", noModel},

	// Headsets, cars, and apps that say only what they were built with.
	{`(?:; |Meta |Oculus )(Quest(?: \d\w?| Pro)?|Pico [^;)]{1,16}?)(?: Build|[;)])`, "other", "Android", "$1"},
	{`OculusBrowser|PicoBrowser`, "other", "Android", noModel},
	{`Tesla/|QtCarBrowser`, "other", "Linux", "Tesla"},
	{`OpenHarmony|ArkWeb`, "phone", "other", ""},
	{`^okhttp/[\d.]+(?:[a-z0-9.\-]*)?$|^ExoPlayer|^AndroidXMedia3/[\d.]+$`, "other", "Android", noModel},
}
