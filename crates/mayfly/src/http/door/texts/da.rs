//! Danish.

use super::Texts;

/// The texts in Danish.
pub(super) const DANISH: Texts = Texts {
    privacy_name: "Dit privatliv",
    optout_name: "Framelding",
    pages: "Sider",
    languages: "Sprog",
    footer: "Denne side kræver ingen scripts og henter intet fra andre servere.",
    day_one: "{n} dag",
    day_few: "{n} dage",
    day_many: "{n} dage",
    done_opted_out: "Det er gjort: Du er frameldt. Fra nu af indsamles der intet fra denne \
        browser.",
    done_opted_out_of_site: "Det er gjort: Du er frameldt på det websted, du kom fra, og det, der \
        var gemt, er slettet. Din browser får det at vide ved din næste side der. Du kan tilmelde \
        dig igen i webstedets egne privatlivsindstillinger.",
    done_opted_in: "Det er gjort: Din framelding er ophævet.",
    done_erased: "Slettet: Det, der var gemt om denne browser, kan ikke længere ses eller bruges. \
        De sidste spor forsvinder fra vores lager ved de næste oprydninger.",
    done_nothing: "Der var ikke noget at slette: Der var ikke gemt noget om denne browser.",
    state_heading: "Denne browser",
    state_opted_out: "Du har frameldt dig: Der indsamles intet fra denne browser.",
    state_gpc: "Din browser sender signalet Global Privacy Control. Det er et nej for os: Der \
        indsamles intet fra denne browser.",
    state_collected: "Besøg fra denne browser registreres under det pseudonyme nummer {id}.",
    state_earlier: "Det, der tidligere er registreret under det pseudonyme nummer {id}, er stadig \
        gemt. Du kan se det og slette det herunder.",
    state_nothing: "Der er ikke gemt noget om denne browser: Den har intet nummer hos os.",
    state_may_start: "Det kan ændre sig, næste gang du besøger et websted, der samarbejder med os, \
        medmindre du framelder dig.",
    link_expired: "Linket, der førte dig hertil, gælder ikke længere. Åbn siden igen fra webstedets egne \
        privatlivsindstillinger.",
    state_apart: "Hvis din browser holder hvert websteds cookies adskilt, kan denne side ikke se, hvad \
        besøg på et websted har efterladt. Kom så hertil via privatlivslinket på det websted.",
    state_open: "Du har ikke frameldt dig: Besøg fra denne browser kan blive registreret.",
    privacy_heading: "Det har vi gemt om denne browser",
    lead_what: "Websteder, der samarbejder med os, registrerer, hvilke af deres sider denne \
        browser åbner, så indhold og annoncer kan tilpasses.",
    lead_pseudonymous: "Oplysningerne er pseudonymiserede: De hører til et nummer i en cookie, \
        ikke til dit navn, din e-mailadresse eller din IP-adresse.",
    lead_deleted: "Hver registrering slettes senest efter {days}.",
    held_heading: "Det, der er gemt",
    segments_heading: "Segmenter",
    segments_what: "Grupper af browsere med lignende interesser, som denne hører til lige nu, \
        udledt af dens besøg.",
    segments_none: "Denne browser er ikke med i noget segment.",
    partners_heading: "Partnere, der kender denne browser",
    partners_what: "Vores annoncepartnere genkender denne browser på disse id’er.",
    visits_heading: "Registrerede besøg",
    visits_order: "Nyeste først",
    visits_none: "Der er ikke registreret nogen besøg.",
    visits_newest: "Listen viser de nyeste {shown} af {total}; filen, du kan hente, har dem alle.",
    visits_kept: "Hvert besøg slettes senest efter {days}, og segmenter, der bygger på det, falder \
        bort sammen med det. Din IP-adresse gemmes ikke.",
    column_time: "Hvornår",
    column_site: "Websted",
    column_event: "Hændelse",
    column_page: "Side",
    column_categories: "Kategorier",
    column_seconds: "Tid på siden",
    event_page_view: "sidevisning",
    event_engagement: "læsning",
    event_ad_impression: "annonce vist",
    event_ad_click: "klik på annonce",
    event_conversion: "konvertering",
    event_import: "indlæst fra en fil",
    actions_heading: "Det kan du gøre",
    download_heading: "Tag det med dig",
    download_what: "En JSON-fil med alt, hvad der er gemt om denne browser.",
    download_link: "Hent filen",
    erase_heading: "Slet det",
    erase_what: "Alt, hvad der er gemt om denne browser, slettes. Det kan ikke fortrydes.",
    erase_again: "Hvis du ikke også framelder dig, begynder et senere besøg en ny registrering.",
    erase_button: "Slet alt",
    optout_heading: "Frameld dig",
    optout_what: "Der registreres ikke flere besøg fra denne browser. Det, der allerede er gemt, \
        bliver, indtil du sletter det, eller fristen udløber.",
    optout_gpc: "Du kan også framelde dig her; det gælder stadig, hvis signalet en dag bliver \
        slået fra.",
    optout_button: "Frameld mig",
    optin_heading: "Vær med igen",
    optin_what: "Hvis du tilmelder dig igen, slettes frameldingscookien, og besøg fra denne \
        browser kan igen registreres.",
    optin_gpc: "Så længe din browser sender Global Privacy Control, registreres der stadig intet.",
    optin_button: "Tilmeld mig igen",
    cookies_heading: "De cookies, vi bruger",
    cookie_name: "Navn",
    cookie_purpose: "Hvad den bruges til",
    cookie_life: "Hvor længe den bliver",
    id_purpose: "Indeholder det pseudonyme nummer, så besøg fra samme browser hører sammen.",
    id_life: "{days} fra dit seneste besøg",
    probe_purpose: "Undersøger, om denne browser overhovedet gemmer cookies.",
    probe_life: "{minutes} minutter",
    optout_purpose: "Husker, at du har frameldt dig, og ikke andet.",
    optout_life: "{days}, kun hvis du framelder dig",
    rights_heading: "Dine rettigheder",
    rights_all: "Du har ret til at se disse oplysninger, tage dem med dig, få dem slettet og gøre \
        indsigelse mod, at de bruges. På denne side kan du gøre det hele selv med det samme.",
    rights_each: "Hver browser og hver enhed tæller for sig, så gentag dit valg på dem alle.",
    rights_authority: "Er du ikke tilfreds, kan du klage til databeskyttelsesmyndigheden i dit \
        land.",
    rights_controller: "Ansvarlig for disse oplysninger:",
    rights_contact: "Spørgsmål og anmodninger:",
    optout_of_site: "Du kommer fra et websted, der kun kender denne browser på sine egne sider. \
        Frameldingen gælder for det websted og sletter det, der er gemt.",
    optout_apart: "Hvis din browser holder hvert websteds cookies adskilt, når en framelding her ingen \
        af dem. Frameld dig så via privatlivslinket på selve webstedet.",
    optout_lead: "Ét klik, og besøg fra denne browser registreres ikke længere.",
    does_heading: "Hvad frameldingen gør",
    does_stop: "Besøg fra denne browser registreres ikke længere, og de sider, du åbner, får ikke \
        længere dens segmenter at vide.",
    does_last: "Den gælder, så længe frameldingscookien ({cookie}) ligger i denne browser, dog \
        højst {days}. Sletter du dine cookies, skal du framelde dig igen.",
    does_not_heading: "Hvad den ikke gør",
    does_not_erase: "Den sletter ikke det, der er registreret før. Det udløber af sig selv senest \
        efter {days}.",
    does_not_reach: "Den gælder ikke for dine andre browsere og enheder: De skal frameldes hver \
        for sig.",
    optout_to_privacy: "Se og slet det, der er gemt",
    privacy_to_optout: "Mere om framelding",
};
