//! Dutch.

use super::Texts;

/// The texts in Dutch.
pub(super) const DUTCH: Texts = Texts {
    privacy_name: "Je privacy",
    optout_name: "Afmelden",
    pages: "Pagina’s",
    languages: "Talen",
    footer: "Deze pagina heeft geen scripts nodig en laadt niets van andere servers.",
    day_one: "{n} dag",
    day_few: "{n} dagen",
    day_many: "{n} dagen",
    done_opted_out: "Gelukt: je bent afgemeld. Vanaf nu wordt van deze browser niets meer \
        verzameld.",
    done_opted_out_of_site: "Gelukt: je bent afgemeld voor de website waar je vandaan kwam, en \
        wat werd bewaard is gewist. Je browser hoort dit bij je volgende pagina daar. Je weer \
        aanmelden doe je in de privacy-instellingen van die website.",
    done_opted_in: "Gelukt: je afmelding is ingetrokken.",
    done_erased: "Gewist: wat over deze browser werd bewaard, kan niet meer worden bekeken of \
        gebruikt. De laatste sporen verdwijnen bij de volgende opschoonrondes uit onze opslag.",
    done_nothing: "Er viel niets te wissen: over deze browser werd niets bewaard.",
    state_heading: "Deze browser",
    state_opted_out: "Je hebt je afgemeld: van deze browser wordt niets verzameld.",
    state_gpc: "Je browser stuurt het signaal Global Privacy Control mee. Dat is voor ons een nee: \
        van deze browser wordt niets verzameld.",
    state_collected: "Bezoeken met deze browser worden vastgelegd onder het pseudonieme nummer \
        {id}.",
    state_earlier: "Wat eerder is vastgelegd, onder het pseudonieme nummer {id}, wordt nog \
        bewaard. Je kunt het hieronder bekijken en wissen.",
    state_nothing: "Over deze browser wordt niets bewaard: hij heeft hier geen nummer.",
    state_may_start: "Dat kan veranderen bij je volgende bezoek aan een website die met ons \
        samenwerkt, tenzij je je afmeldt.",
    link_expired: "De link die je hierheen bracht, is verlopen. Open deze pagina opnieuw vanuit de \
        privacy-instellingen van de website.",
    state_apart: "Bewaart je browser de cookies van elke website apart, dan kan deze pagina niet zien \
        wat bezoeken aan een website hebben achtergelaten. Kom dan hier via de privacylink op die \
        website.",
    state_open: "Je hebt je niet afgemeld: bezoeken met deze browser kunnen worden vastgelegd.",
    privacy_heading: "Wat er over deze browser wordt bewaard",
    lead_what: "Websites die met ons samenwerken, leggen vast welke van hun pagina’s deze browser \
        opent, om er inhoud en advertenties op af te stemmen.",
    lead_pseudonymous: "De gegevens zijn gepseudonimiseerd: ze horen bij een nummer in een cookie, \
        niet bij je naam, e-mailadres of IP-adres.",
    lead_deleted: "Elk gegeven wordt uiterlijk na {days} gewist.",
    held_heading: "Wat er wordt bewaard",
    segments_heading: "Segmenten",
    segments_what: "Groepen browsers met vergelijkbare interesses waar deze nu bij hoort, afgeleid \
        uit zijn bezoeken.",
    segments_none: "Deze browser zit in geen enkel segment.",
    partners_heading: "Partners die deze browser kennen",
    partners_what: "Advertentiepartners van ons herkennen deze browser aan deze kenmerken van hen.",
    visits_heading: "Vastgelegde bezoeken",
    visits_order: "Nieuwste eerst",
    visits_none: "Er zijn geen bezoeken vastgelegd.",
    visits_newest: "Deze lijst toont de nieuwste {shown} van {total}; in de download staan ze \
        allemaal.",
    visits_kept: "Elk bezoek wordt uiterlijk na {days} gewist; segmenten die erop berusten, \
        vervallen dan mee. Je IP-adres wordt niet opgeslagen.",
    column_time: "Wanneer",
    column_site: "Website",
    column_event: "Gebeurtenis",
    column_page: "Pagina",
    column_categories: "Categorieën",
    column_seconds: "Tijd op de pagina",
    event_page_view: "paginaweergave",
    event_engagement: "lezen",
    event_ad_impression: "advertentie getoond",
    event_ad_click: "op advertentie geklikt",
    event_conversion: "conversie",
    event_import: "ingelezen uit een bestand",
    actions_heading: "Wat je kunt doen",
    download_heading: "Neem het mee",
    download_what: "Een JSON-bestand met alles wat over deze browser wordt bewaard.",
    download_link: "Bestand downloaden",
    erase_heading: "Wis het",
    erase_what: "Alles wat over deze browser wordt bewaard, wordt gewist. Dat kan niet ongedaan \
        worden gemaakt.",
    erase_again: "Meld je je niet ook af, dan begint een later bezoek weer van voren af aan.",
    erase_button: "Alles wissen",
    optout_heading: "Meld je af",
    optout_what: "Er worden geen bezoeken met deze browser meer vastgelegd. Wat er al is, blijft \
        tot je het wist of de termijn voorbij is.",
    optout_gpc: "Je kunt je hier ook afmelden; dat blijft gelden als het signaal ooit wordt \
        uitgezet.",
    optout_button: "Ik meld me af",
    optin_heading: "Doe weer mee",
    optin_what: "Doe je weer mee, dan wordt de afmeldcookie gewist en kunnen bezoeken met deze \
        browser weer worden vastgelegd.",
    optin_gpc: "Zolang je browser Global Privacy Control meestuurt, wordt er toch niets \
        vastgelegd.",
    optin_button: "Ik doe weer mee",
    cookies_heading: "De cookies die we gebruiken",
    cookie_name: "Naam",
    cookie_purpose: "Waarvoor",
    cookie_life: "Hoe lang",
    id_purpose: "Bevat het pseudonieme nummer, zodat bezoeken met dezelfde browser bij elkaar \
        horen.",
    id_life: "{days} vanaf je laatste bezoek",
    probe_purpose: "Controleert of deze browser wel cookies bewaart.",
    probe_life: "{minutes} minuten",
    optout_purpose: "Onthoudt dat je je hebt afgemeld, en verder niets.",
    optout_life: "{days}, alleen als je je afmeldt",
    rights_heading: "Je rechten",
    rights_all: "Je hebt het recht om deze gegevens in te zien, mee te nemen en te laten wissen, \
        en om bezwaar te maken tegen het gebruik ervan. Op deze pagina kun je dat allemaal meteen \
        zelf doen.",
    rights_each: "Elke browser en elk apparaat telt apart; maak je keuze dus op elk ervan.",
    rights_authority: "Ben je niet tevreden, dan kun je een klacht indienen bij de \
        privacytoezichthouder in je land.",
    rights_controller: "Verantwoordelijk voor deze gegevens:",
    rights_contact: "Vragen en verzoeken:",
    optout_of_site: "Je komt van een website die deze browser alleen op haar eigen pagina’s kent. \
        Afmelden geldt voor die website en wist wat er wordt bewaard.",
    optout_apart: "Bewaart je browser de cookies van elke website apart, dan bereikt een afmelding hier \
        er geen. Meld je dan af via de privacylink op de website zelf.",
    optout_lead: "Eén klik, en bezoeken met deze browser worden niet meer vastgelegd.",
    does_heading: "Wat afmelden doet",
    does_stop: "Bezoeken met deze browser worden niet meer vastgelegd, en de pagina’s die je opent \
        krijgen zijn segmenten niet meer te horen.",
    does_last: "Het geldt zolang de afmeldcookie ({cookie}) in deze browser staat, hoogstens \
        {days}. Wis je je cookies, meld je dan opnieuw af.",
    does_not_heading: "Wat het niet doet",
    does_not_erase: "Het wist niet wat eerder is vastgelegd. Dat vervalt vanzelf, uiterlijk na \
        {days}.",
    does_not_reach: "Het geldt niet voor je andere browsers en apparaten: daar meld je je apart \
        af.",
    optout_to_privacy: "Bekijk en wis wat er wordt bewaard",
    privacy_to_optout: "Meer over afmelden",
};
