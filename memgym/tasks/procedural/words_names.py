"""Given names, pet names and surnames. No name is an ordinary English word, so that a name is never ambiguous."""

from __future__ import annotations


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FEMALE: tuple[str, ...] = _names(
    "Mara Ilse Nadia Elena Freya Yara Leila Sana Tamsin Bridget Keiko Amara Zofia Hanna Petra Ingrid "
    "Sigrid Astrid Linnea Maren Johanna Greta Ottilie Clara Carla Bianca Chiara Giulia Lucia Paola Silvia "
    "Marisol Catalina Ximena Valeria Camila Renata Beatriz Luisa Teresa Fatima Aisha Zainab Noor Samira "
    "Rania Dalia Huda Maryam Shirin Parisa Azadeh Laleh Priya Anjali Kavya Meera Lakshmi Divya Nisha Radha "
    "Sunita Deepa Rukmini Lian Yuki Haruka Naomi Emiko Aiko Chiyo Midori Tomoko Jisoo Minji Eunji Hyejin "
    "Soyeon Linh Thuy Siti Dewi Putri Malia Leilani Moana Aroha Ngaire Chidinma Adaeze Ngozi Ifeoma Folake "
    "Yetunde Abena Akosua Wanjiru Njeri Achieng Makena Thandiwe Nomvula Zanele Lerato Naledi Rutendo Selam "
    "Hiwot Tigist Oksana Iryna Ludmila Svetlana Tatiana Natalia Galina Katya Milena Jelena Dragana Ivana "
    "Vesna Snezana Dorota Agnieszka Malgorzata Kasia Halina Magda Zuzana Lenka Katarina Ilona Eszter Reka "
    "Kinga Ioana Mihaela Raluca Anca Despina Eleni Thalia Ariadne Defne Elif Aylin Zeynep Selin Esra "
    "Siobhan Niamh Aoife Ciara Orla Roisin Maeve Eilidh Isla Ailsa Morag Catriona Rhiannon Seren Carys "
    "Bronwen Nerys Margot Colette Delphine Solene Elodie Manon Anouk Celeste Odile Josephine Henrietta "
    "Philippa Harriet Matilda Cordelia Rosalind Imogen Winifred Edith Mabel Nora Thea Phoebe Daphne "
    "Penelope Miriam Tamar Shira Yael Liora Dinah Ludovica Ginevra Fiorella Rosalba Consuelo Esperanza "
    "Graciela Pilar Nieves Itziar Maite Ainhoa Leonor Filipa Joana Iracema Jacinta Vitoria Hedda Solveig "
    "Ragnhild Tuuli Aino Helmi Kaisa Liisa Maarit Riikka Signe Dagny Elsa Annika Britta Gudrun Hildegard "
    "Liesel Mechthild Roswitha Wiebke Marijke Femke Saskia Willemijn Fenna Geertje"
)

MALE: tuple[str, ...] = _names(
    "Tomas Anders Lars Nils Bjorn Soren Mikkel Henrik Magnus Rasmus Jonas Matthias Lukas Florian Dieter "
    "Jurgen Klaus Stefan Ulrich Wolfgang Marco Luca Matteo Davide Enzo Fabio Giorgio Paolo Sergio Diego "
    "Javier Rafael Ramon Esteban Joaquin Ignacio Emilio Alonso Omar Yusuf Karim Tariq Hassan Bilal Idris "
    "Khalid Rashid Samir Farid Kaveh Reza Dariush Arash Rohan Arjun Vikram Sanjay Rajesh Anil Sunil Nikhil "
    "Varun Kiran Haruto Kenji Takeshi Hiroshi Satoshi Daichi Ryota Minho Jiho Seojun Taeyang Hyunwoo Quang "
    "Minh Tuan Budi Agus Wayan Keoni Wiremu Chidi Emeka Obinna Kelechi Tunde Femi Segun Kofi Kwame Kojo "
    "Kamau Otieno Mwangi Thabo Sipho Themba Mandla Tinashe Farai Dawit Yonas Bekele Oleg Dmitri Sergei "
    "Yuri Boris Anton Igor Pavel Viktor Nikolai Goran Zoran Dragan Milos Marek Pawel Wojtek Jakub Piotr "
    "Jiri Vaclav Ondrej Radek Istvan Laszlo Gabor Zoltan Bence Radu Mihai Andrei Costin Dimitris Yannis "
    "Kostas Nikos Stavros Emre Kerem Murat Ozan Cormac Declan Eoin Fergus Padraig Ronan Callum Hamish "
    "Angus Lachlan Rhys Gareth Emrys Dylan Ivor Etienne Laurent Mathieu Pascal Thibault Bastien Remy "
    "Quentin Oliver Rupert Hugo Felix Barnaby Edmund Cedric Leopold Rufus Silas Ezra Asher Gideon Levi "
    "Amos Tobias Jasper Linus Caspar Elias Noah Ethan Theo Kurt Gunther Ferran Jordi Oriol Pau Iker Unai "
    "Gonzalo Hernan Leandro Thiago Caio Otavio Joao Duarte Nuno Rui Vasco Gaspard Lucien Marcel Olivier "
    "Sylvain Yannick Arvid Birger Einar Eskil Gustav Halvor Ivar Jarle Knut Leif Oddvar Olav Torbjorn "
    "Vidar Aapo Eero Ilmari Jukka Mikko Pekka Seppo Toivo Veikko Bram Daan Joost Maarten Pieter Ruben "
    "Sjoerd Thijs Willem Albrecht Detlef Eberhard Gerhard Helmut Joachim Konrad Lothar Manfred Norbert "
    "Reinhard Siegfried"
)

PETS: tuple[str, ...] = _names(
    "Biscuit Pickle Mochi Waffles Nimbus Ziggy Bramble Noodle Pippin Tarzan Gizmo Togo Pretzel Nacho "
    "Dumpling Muffin Crumpet Widget Pixel Rascal Bandit Scout Ruffles Snickers Pudding Nugget Clementine "
    "Marmalade Figaro Bubbles Tinker Sprocket Doodle Fidget Gadget Jellybean Kazoo Linguini Meatball Nutmeg "
    "Oreo Pongo Quokka Ravioli Schnitzel Tapioca Umbra Velcro Wasabi Xeno Yoyo Zucchini Acorn Bagel "
    "Chaplin Dobby Ewok Falafel Gatsby Hobbes Igloo Jigsaw Kipper Lassie Macaroni Nibbles Olly Popeye "
    "Quixote Rigatoni Sherlock Taco Udon Vesper Whiskers Yeti Zephyr Amadeus Butterscotch Chewie Dundee "
    "Eclair Fudge Goblin Hiccup Inkblot Jambo Kahuna Lancelot Merlin Nemo Orbit Percival Quasar Ringo "
    "Socrates Tugboat Ulysses Viking Wombat"
)

SURNAMES: tuple[str, ...] = _names(
    "Lindgren Okafor Marchetti Hallowell Brennan Castellano Devereux Eklund Fairbanks Gallagher Hoshino "
    "Ibarra Jankowski Kowalczyk Lombardi Mbeki Novak Oyelaran Petrov Quigley Rosenthal Sandoval Takahashi "
    "Underhill Vandenberg Whitlock Yamamoto Zielinski Abernathy Blackwood Carmichael Dunmore Esposito "
    "Fitzgerald Grimaldi Haverford Iyengar Jorgensen Kirkpatrick Lindqvist Montague Nakamura Osterman "
    "Pemberton Quintero Ravenscroft Sorensen Thornbury Ullman Villanueva Wainwright Yardley Zimmerman "
    "Achterberg Bellingham Cavendish Drummond Everhart Featherstone Goldsmith"
)
